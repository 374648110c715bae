public import CausewayConfiguration
public import LinuxSystem

/// Why the daemon does not start.
public enum DaemonError: Error, Equatable, Sendable {
    case notRoot
    case control(ControlServerError)
    case initiatorName(InitiatorNameError)
    case configuration([ConfigurationProblem])
    case system(SystemError)
}

extension DaemonError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notRoot:
            "it must be root to bind connections to interfaces and to make block devices; run it as root"
        case .control(let error): "\(error)"
        case .initiatorName(let error): "\(error)"
        case .configuration(let problems):
            """
            the configuration cannot be used: \(problems.map(\.description).joined(separator: "; ")); \
            see all of it with: causeway config check
            """
        case .system(let error): "\(error)"
        }
    }
}
