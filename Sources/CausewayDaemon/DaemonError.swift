/// Why the daemon does not start.
public enum DaemonError: Error, Equatable, Sendable {
    case control(ControlServerError)
}

extension DaemonError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .control(let error): "\(error)"
        }
    }
}
