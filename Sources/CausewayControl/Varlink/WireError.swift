/// Why a message of the other side is not taken.
public enum WireError: Error, Equatable, Sendable {
    /// No NUL within the limit.
    case messageTooLong(limitBytes: Int)
    /// Not JSON, or not an object of the shape of a Varlink call or reply.
    case malformed(reason: String)
    /// A parameter is absent or of the wrong type.
    case invalidParameter(name: String)
    /// A parameter has the right type and a value that makes no sense, which the error explains.
    case rejected(ControlError)
}

extension WireError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .messageTooLong(let limitBytes): "a message longer than \(limitBytes) bytes"
        case .malformed(let reason): "a malformed message: \(reason)"
        case .invalidParameter(let name): "the parameter \"\(name)\" is absent or of the wrong type"
        case .rejected(let error): error.message
        }
    }
}
