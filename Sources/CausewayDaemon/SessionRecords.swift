import CausewayCore
import Glibc
import LinuxSystem

/// A session that may be open at a target.
struct SessionRecord: Equatable, Sendable {
    var name: SessionName
    /// `address:port`
    var portal: String
    /// nil as long as no login has been answered.
    var portalGroupTag: UInt16?
    /// The disk that it was made for first.
    var disk: String
}

/// Which sessions this machine may have open: one small file a session, written before its login is sent and
/// removed when it was logged out with nothing under way. What is found at the start of an attach is a
/// predecessor's that died, whose writes may still run in the target: its fence takes the barrier too.
///
/// Kept in the state directory under `/run`, so that it survives the daemon and not the machine.
struct SessionRecords: Sendable {
    let folder: String

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

    /// Records a session. Returns the record that stood there already, if one did.
    func begin(
        _ name: SessionName, portal: String, disk: String
    ) throws(SystemError) -> SessionRecord? {
        let earlier = read(path(name))
        try write(
            SessionRecord(
                name: name, portal: portal, portalGroupTag: earlier?.portalGroupTag, disk: disk))
        return earlier
    }

    /// A login has shown in which portal group the session is.
    func note(portalGroupTag: UInt16, of name: SessionName) throws(SystemError) {
        guard var record = read(path(name)), record.portalGroupTag != portalGroupTag else { return }
        record.portalGroupTag = portalGroupTag
        try write(record)
    }

    /// The session was logged out and left nothing behind.
    func end(_ name: SessionName) {
        unsafe unlink(path(name))
    }

    /// All sessions on record with a target.
    func sessions(with target: ISCSIName) -> [SessionRecord] {
        StateFile.names(in: folder).compactMap { read("\(folder)/\($0)") }.filter { $0.name.target == target }
    }

    private func write(_ record: SessionRecord) throws(SystemError) {
        let tag = record.portalGroupTag.map { "group=\($0)\n" } ?? ""
        let text =
            "initiator=\(record.name.initiator.text)\ntarget=\(record.name.target.text)\n"
            + "isid=\(record.name.isid)\nportal=\(record.portal)\n\(tag)disk=\(record.disk)\n"
        try StateFile.replace(path(record.name), with: Array(text.utf8))
    }

    private func read(_ path: String) -> SessionRecord? {
        guard let text = try? SmallFile.read(path) else { return nil }
        var fields: [Substring: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { fields[parts[0]] = String(parts[1]) }
        }
        guard let initiator = try? ISCSIName(fields["initiator"] ?? ""),
            let target = try? ISCSIName(fields["target"] ?? ""),
            let isid = InitiatorSessionID(parsing: fields["isid"] ?? ""), let portal = fields["portal"]
        else { return nil }
        return SessionRecord(
            name: SessionName(initiator: initiator, target: target, isid: isid), portal: portal,
            portalGroupTag: fields["group"].flatMap { UInt16($0) }, disk: fields["disk"] ?? "")
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
