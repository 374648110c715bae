import CausewayCore
import Glibc
import LinuxSystem
import Synchronization

/// Which sessions this machine may have open: one small file a session, written before its login is sent and
/// removed when it was logged out with nothing under way. What is found at the start of an attach is a
/// predecessor's that died, whose writes may still run in the target: its fence takes the barrier too.
///
/// Kept in the state directory under `/run`, so that it survives the daemon and not the machine.
final class SessionRecords: Sendable {
    let folder: String
    /// Control threads record sessions, and the watch thread what becomes of them.
    private let lock = Mutex(())

    init(stateDirectory: String) {
        folder = stateDirectory + "/sessions"
    }

    /// Makes the folder, and the state directory if it is absent, one level deep. At the start of the daemon,
    /// so that a wrong one is heard of then and not by who attaches.
    func prepare() throws(SystemError) {
        let stateDirectory = String(folder.dropLast("/sessions".count))
        for (path, mode) in [(stateDirectory, mode_t(0o755)), (folder, mode_t(0o700))] {
            guard unsafe mkdir(path, mode) == 0 || errno == EEXIST else {
                throw SystemError(call: "mkdir", errno: Errno(rawValue: errno), subject: path)
            }
        }
    }

    private func path(_ initiator: ISCSIName, _ target: ISCSIName, _ isid: InitiatorSessionID) -> String {
        var hash = StableHash(key0: 0x5345_5353)
        hash.append(initiator.text)
        hash.append(target.text)
        return "\(folder)/\(isid)-\(String(hash.value(), radix: 16))"
    }

    /// Records a session. Returns what stood on record of it already; the new record names its LUNs too.
    func begin(_ record: SessionRecord) throws(SystemError) -> SessionRecord? {
        try lock.withLock { _ throws(SystemError) in
            let path = path(record.initiator, record.target, record.isid)
            let earlier = try read(path, as: record)
            var record = record
            if let earlier {
                record.units.formUnion(earlier.units)
                record.portalGroupTag = earlier.portalGroupTag
            }
            try write(record, to: path)
            return earlier
        }
    }

    /// The session stands, in this portal group. What cannot be kept is done without.
    func note(
        portalGroupTag: UInt16?, initiator: ISCSIName, target: ISCSIName, isid: InitiatorSessionID
    ) {
        amend(initiator, target, isid) { $0.portalGroupTag = portalGroupTag }
    }

    /// The session carries these LUNs too.
    func note(units: Set<UInt64>, initiator: ISCSIName, target: ISCSIName, isid: InitiatorSessionID) {
        amend(initiator, target, isid) { $0.units.formUnion(units) }
    }

    private func amend(
        _ initiator: ISCSIName, _ target: ISCSIName, _ isid: InitiatorSessionID,
        _ change: (inout SessionRecord) -> Void
    ) {
        let path = path(initiator, target, isid)
        let blank = SessionRecord(
            initiator: initiator, target: target, isid: isid, portal: "", disk: "", units: [])
        lock.withLock { _ in
            guard let known = try? read(path, as: blank) else { return }
            var record = known
            change(&record)
            if record != known { try? write(record, to: path) }
        }
    }

    /// The session was logged out and left nothing behind.
    func end(initiator: ISCSIName, target: ISCSIName, isid: InitiatorSessionID) {
        lock.withLock { _ in _ = unsafe unlink(path(initiator, target, isid)) }
    }

    /// nil if there is no such record. What it does not say is as in `known`.
    private func read(_ path: String, as known: SessionRecord) throws(SystemError) -> SessionRecord? {
        let text: String
        do throws(SystemError) {
            text = try SmallFile.read(path)
        } catch {
            if error.errno == .noSuchFile { return nil }
            throw error
        }
        var record = known
        record.units = []
        record.take(text)
        if record.units.isEmpty { record.units = known.units }
        return record
    }

    /// Whole or not at all.
    private func write(_ record: SessionRecord, to path: String) throws(SystemError) {
        unsafe mkdir(folder, 0o700)
        let temporary = path + ".new"
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw SystemError(call: "open", errno: Errno(rawValue: errno), subject: temporary)
        }
        let file = OwnedDescriptor(adopting: descriptor)
        let bytes = Array(record.text.utf8)
        guard unsafe Glibc.write(file.rawValue, bytes, bytes.count) == bytes.count else {
            throw SystemError(call: "write", errno: Errno(rawValue: errno), subject: temporary)
        }
        guard unsafe rename(temporary, path) == 0 else {
            throw SystemError(call: "rename", errno: Errno(rawValue: errno), subject: path)
        }
    }
}

/// What a successor needs to know to end a session and fence its writes.
struct SessionRecord: Equatable, Sendable {
    var initiator: ISCSIName
    var target: ISCSIName
    var isid: InitiatorSessionID
    var portal: String
    /// The disk that was attached last over it.
    var disk: String
    /// LUN fields (SAM-5 §4.7) that it may have written to.
    var units: Set<UInt64>
    /// Known once the session stood.
    var portalGroupTag: UInt16?

    /// A line for each: `key=value`.
    var text: String {
        var lines = [
            "initiator=\(initiator.text)", "target=\(target.text)", "isid=\(isid)", "portal=\(portal)",
            "disk=\(disk)",
        ]
        lines += units.sorted().map { "unit=\(String($0, radix: 16))" }
        if let portalGroupTag { lines.append("group=\(portalGroupTag)") }
        return lines.map { $0 + "\n" }.joined()
    }

    /// Takes what a record's text says beside the session's name.
    mutating func take(_ text: String) {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            switch parts[0] {
            case "portal": portal = String(parts[1])
            case "disk": disk = String(parts[1])
            case "unit": if let unit = UInt64(parts[1], radix: 16) { units.insert(unit) }
            case "group": portalGroupTag = UInt16(parts[1])
            default: break
            }
        }
    }
}
