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
    /// What this process has begun. Control threads record sessions, and the watch thread what becomes of
    /// them.
    private let begun = Mutex<[SessionName: Begun]>([:])

    private struct Begun {
        /// How often.
        var count: UInt64 = 0
        /// As it stands in its file.
        var record: SessionRecord
        /// Which of the beginnings was heard to have ended although it was not the last, and what it left.
        var ended: (number: UInt64, unfenced: Set<UInt64>)?
        /// What stood on record before: a predecessor's. It holds until the session has ended, for disks that
        /// share it may reach the lane in any order.
        var inherited: SessionRecord?
    }

    init(stateDirectory: String) {
        folder = stateDirectory + "/sessions"
    }

    /// Makes the folder, at the start of the daemon, so that a wrong one is heard of then and not by who
    /// attaches.
    func prepare() throws(SystemError) { try StateFile.makeFolder(folder) }

    private func path(_ name: SessionName) -> String {
        var hash = StableHash(key0: 0x5345_5353)
        hash.append(name.initiator.text)
        hash.append(name.target.text)
        return "\(folder)/\(name.isid)-\(String(hash.value(), radix: 16))"
    }

    /// Records a session. Returns what a predecessor had on record of it; the new record names its LUNs too.
    /// With the number it is to be ended: the end of an earlier one, heard of late, does not concern it.
    func begin(
        _ record: SessionRecord
    ) throws(SystemError) -> (number: UInt64, hasStood: Bool, earlier: SessionRecord?) {
        try begun.withLock { begun throws(SystemError) in
            var earlier = begun[record.name]?.record
            if earlier == nil { earlier = try read(path(record.name)) }
            var record = record
            if let earlier {
                record.units.formUnion(earlier.units)
                record.portalGroupTag = earlier.portalGroupTag
                record.hasStood = earlier.hasStood
            }
            try write(record)
            // A session that never stood has written nothing.
            let inherited = record.hasStood ? earlier : nil
            var known = begun[record.name] ?? Begun(record: record, inherited: inherited)
            known.count += 1
            known.record = record
            begun[record.name] = known
            return (known.count, record.hasStood, known.inherited)
        }
    }

    /// A beginning that came to nothing: the lane has not taken the session.
    func withdraw(_ name: SessionName, number: UInt64) {
        begun.withLock { begun in
            guard let known = begun[name], known.count == number else { return }
            if let ended = known.ended, ended.number == number - 1 {
                begun[name] = nil
                if ended.unfenced.isEmpty { unsafe unlink(path(name)) }
            } else if number > 1 {
                begun[name]?.count = number - 1
            } else {
                begun[name] = nil
                if known.inherited == nil { unsafe unlink(path(name)) }
            }
        }
    }

    /// Whether a session on record was begun by this process and by none before it: nobody else's writes may
    /// come over it.
    func isOwn(_ name: SessionName) -> Bool {
        begun.withLock { begun in begun[name].map { $0.inherited == nil } ?? false }
    }

    /// The session stands, in this portal group: from now on it may write. False if it is none of this
    /// process's: it is over.
    func noteLogin(portalGroupTag: UInt16?, of name: SessionName) throws(SystemError) -> Bool {
        try begun.withLock { begun throws(SystemError) in
            guard var record = begun[name]?.record else { return false }
            record.hasStood = true
            record.portalGroupTag = portalGroupTag ?? record.portalGroupTag
            try write(record)
            begun[name]?.record = record
            return true
        }
    }

    /// A predecessor's that never stood.
    func forget(_ name: SessionName) {
        begun.withLock { begun in
            if begun[name] == nil { unsafe unlink(path(name)) }
        }
    }

    /// The session carries these LUNs too.
    func note(units: Set<UInt64>, of name: SessionName) throws(SystemError) {
        try begun.withLock { begun throws(SystemError) in
            guard let known = begun[name]?.record, !known.units.isSuperset(of: units) else { return }
            var record = known
            record.units.formUnion(units)
            try write(record)
            begun[name]?.record = record
        }
    }

    /// The session is over. On record stays to which LUNs it may still be writing. False if it was begun anew
    /// meanwhile.
    func end(_ name: SessionName, number: UInt64, unfenced: Set<UInt64>) throws(SystemError) -> Bool {
        try begun.withLock { begun throws(SystemError) in
            guard let known = begun[name] else { return false }
            guard known.count == number else {
                begun[name]?.ended = (number, unfenced)
                // Whoever begins it next is to know what this one left.
                if !unfenced.isEmpty {
                    var record = known.record
                    record.hasStood = true
                    try write(record)
                    begun[name]?.record = record
                    record.units = (known.inherited?.units ?? []).union(unfenced)
                    begun[name]?.inherited = record
                }
                return false
            }
            begun[name] = nil
            if unfenced.isEmpty {
                unsafe unlink(path(name))
            } else {
                var record = known.record
                record.units = unfenced
                record.hasStood = true
                try write(record)
            }
            return true
        }
    }

    /// All sessions on record with a target, and the files that cannot be understood.
    func sessions(
        with target: ISCSIName
    ) throws(SystemError) -> (records: [SessionRecord], unreadable: [String]) {
        try begun.withLock { _ throws(SystemError) in
            var records: [SessionRecord] = []
            var unreadable: [String] = []
            for file in StateFile.names(in: folder) {
                let path = "\(folder)/\(file)"
                if let record = try read(path) {
                    if record.name.target == target { records.append(record) }
                } else {
                    unreadable.append(path)
                }
            }
            return (records, unreadable)
        }
    }

    private func write(_ record: SessionRecord) throws(SystemError) {
        try StateFile.replace(path(record.name), with: Array(record.text.utf8))
    }

    /// nil if there is no such record, or none of this program's.
    private func read(_ path: String) throws(SystemError) -> SessionRecord? {
        do throws(SystemError) {
            return SessionRecord(parsing: try SmallFile.read(path))
        } catch {
            if error.errno == .noSuchFile { return nil }
            throw error
        }
    }
}

/// What a successor needs to know to end a session and fence its writes.
struct SessionRecord: Equatable, Sendable {
    var name: SessionName
    /// `address:port`
    var portal: String
    /// The disk that was attached last over it.
    var disk: String
    /// LUN fields (SAM-5 §4.7) that it may have written to.
    var units: Set<UInt64>
    /// A login was answered: it may have written.
    var hasStood = false
    /// Known once the session stood.
    var portalGroupTag: UInt16?

    /// A line for each: `key=value`.
    var text: String {
        var lines = [
            "initiator=\(name.initiator.text)", "target=\(name.target.text)", "isid=\(name.isid)",
            "portal=\(portal)", "disk=\(disk)",
        ]
        lines += units.sorted().map { "unit=\(String($0, radix: 16))" }
        if !hasStood { lines.append("stood=no") }
        if let portalGroupTag { lines.append("group=\(portalGroupTag)") }
        return lines.map { $0 + "\n" }.joined()
    }
}

extension SessionRecord {
    /// nil if the text does not say which session it is.
    init?(parsing text: String) {
        var fields: [Substring: String] = [:]
        var units: Set<UInt64> = []
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            if parts[0] == "unit" {
                if let unit = UInt64(parts[1], radix: 16) { units.insert(unit) }
            } else {
                fields[parts[0]] = String(parts[1])
            }
        }
        guard let initiator = try? ISCSIName(fields["initiator"] ?? ""),
            let target = try? ISCSIName(fields["target"] ?? ""),
            let isid = InitiatorSessionID(parsing: fields["isid"] ?? ""), let portal = fields["portal"]
        else { return nil }
        self.init(
            name: SessionName(initiator: initiator, target: target, isid: isid), portal: portal,
            disk: fields["disk"] ?? "", units: units, hasStood: fields["stood"] != "no",
            portalGroupTag: fields["group"].flatMap { UInt16($0) })
    }
}

extension InitiatorSessionID {
    /// From `80:1a:2b:3c:4d:5e`, as its description has it.
    init?(parsing text: String) {
        let bytes = text.split(separator: ":", omittingEmptySubsequences: false).map { UInt8($0, radix: 16) }
        guard bytes.count == 6, !bytes.contains(nil) else { return nil }
        self.init(value: bytes.reduce(0) { $0 << 8 | UInt64($1 ?? 0) })
    }
}
