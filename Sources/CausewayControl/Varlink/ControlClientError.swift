/// Why a call gave no result.
public enum ControlClientError: Error, Equatable, Sendable {
    /// No socket there, or nobody listens on it.
    case notRunning(path: String)
    /// The socket is there, and this user may not connect.
    case noAccess(path: String)
    /// The daemon closed the connection before it answered.
    case connectionLost(path: String)
    /// The daemon did not do it, and says why.
    case refused(ControlError)
    /// The daemon does not know the method, or takes its parameters otherwise: `name` is Varlink's error.
    case notUnderstood(name: String, detail: String)
    case malformedReply(WireError)
    case system(SystemCallError)
}

extension ControlClientError {
    /// What is wrong, in the form of `ControlError.message`.
    public var message: String {
        switch self {
        case .notRunning(let path): "the daemon is not running (no answer on \(path))"
        case .noAccess(let path): "no access to the daemon's socket \(path)"
        case .connectionLost(let path): "the daemon closed the connection on \(path) without an answer"
        case .refused(let error): error.message
        case .notUnderstood(let name, let detail): "the daemon did not understand the call: \(name) \(detail)"
        case .malformedReply(let error): "the daemon's reply cannot be read: \(error)"
        case .system(let error): "the daemon cannot be asked: \(error)"
        }
    }

    /// What to do about it.
    public var remedy: String {
        switch self {
        case .notRunning: "start it with: systemctl start causewayd"
        case .noAccess:
            "run the command as root; members of the group \"causeway\" may list disks and see their status"
        case .connectionLost: "see its log with: journalctl -u causewayd"
        case .refused(let error): error.remedy
        case .notUnderstood, .malformedReply:
            "command and daemon are perhaps of different versions; compare: causeway version"
        case .system: "check the path given with --control or CAUSEWAY_CONTROL"
        }
    }
}
