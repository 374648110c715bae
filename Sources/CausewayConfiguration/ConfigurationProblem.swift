/// Something wrong in a configuration file: where, what, and what is right instead.
public struct ConfigurationProblem: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Severity: Equatable, Sendable {
        /// The file cannot be used.
        case error
        /// It can, and does not do all that it seems to say.
        case warning
    }

    public var file: String
    /// nil where the file as a whole is meant.
    public var line: Int?
    public var reason: String
    public var severity: Severity

    public init(file: String, line: Int? = nil, reason: String, severity: Severity = .error) {
        self.file = file
        self.line = line
        self.reason = reason
        self.severity = severity
    }

    public var isError: Bool { severity == .error }

    public var description: String {
        let place = line.map { "\(file):\($0)" } ?? file
        return "\(place): \(severity == .warning ? "warning: " : "")\(reason)"
    }
}
