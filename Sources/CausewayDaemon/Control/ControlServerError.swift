public import CausewayControl

/// Why the control socket cannot be opened.
public enum ControlServerError: Error, Equatable, Sendable {
    /// Another daemon holds the lock beside the socket.
    case anotherDaemon(path: String)
    /// Something that is not a socket is in the way; it is never removed.
    case notASocket(path: String)
    case system(SystemCallError)
}

extension ControlServerError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .anotherDaemon(let path): "another causewayd serves \(path) already"
        case .notASocket(let path):
            "\(path) is in the way and is not a socket; move it elsewhere or use --control"
        case .system(let error): "\(error)"
        }
    }
}
