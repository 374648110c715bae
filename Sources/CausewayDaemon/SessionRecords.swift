import CausewayCore
import Glibc
import LinuxSystem

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

    /// Records a session. Returns whether it stood on record already.
    func begin(
        initiator: ISCSIName, target: ISCSIName, isid: InitiatorSessionID, portal: String, disk: String
    ) throws(SystemError) -> Bool {
        let path = path(initiator, target, isid)
        let existed = unsafe access(path, F_OK) == 0
        unsafe mkdir(folder, 0o700)
        let text =
            "initiator=\(initiator.text)\ntarget=\(target.text)\nisid=\(isid)\n"
            + "portal=\(portal)\ndisk=\(disk)\n"
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw SystemError(call: "open", errno: Errno(rawValue: errno), subject: path)
        }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard unsafe write(descriptor, bytes, bytes.count) == bytes.count else {
            throw SystemError(call: "write", errno: Errno(rawValue: errno), subject: path)
        }
        return existed
    }

    /// The session was logged out and left nothing behind.
    func end(initiator: ISCSIName, target: ISCSIName, isid: InitiatorSessionID) {
        unsafe unlink(path(initiator, target, isid))
    }
}
