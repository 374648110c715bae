/// The error field of an NBD reply. The protocol fixes the numbers (they are those of Linux, whatever the
/// system); zero is success. An open set, so that a value from elsewhere stays printable.
public struct NBDError: RawRepresentable, Equatable, Hashable, Error, BitwiseCopyable, Sendable {
    public var rawValue: UInt32
    @inline(__always) public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let none = NBDError(rawValue: 0)
    /// EPERM: a write to a read-only export.
    public static let notPermitted = NBDError(rawValue: 1)
    /// EIO: the medium or every path to it failed.
    public static let inputOutput = NBDError(rawValue: 5)
    /// ENOMEM
    public static let noMemory = NBDError(rawValue: 12)
    /// EINVAL: the client asked for something that the protocol or the export does not allow.
    public static let invalidArgument = NBDError(rawValue: 22)
    /// ENOSPC: a write past the end, or a thin pool that is full.
    public static let noSpace = NBDError(rawValue: 28)
    /// EOVERFLOW: a READ that must not be fragmented is too long for one chunk.
    public static let overflow = NBDError(rawValue: 75)
    /// ENOTSUP: a fast WRITE_ZEROES that would not be fast.
    public static let notSupported = NBDError(rawValue: 95)
    /// ESHUTDOWN: the server is going away; the client is to disconnect.
    public static let shutdown = NBDError(rawValue: 108)
}

extension NBDError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .none: "success"
        case .notPermitted: "EPERM"
        case .inputOutput: "EIO"
        case .noMemory: "ENOMEM"
        case .invalidArgument: "EINVAL"
        case .noSpace: "ENOSPC"
        case .overflow: "EOVERFLOW"
        case .notSupported: "ENOTSUP"
        case .shutdown: "ESHUTDOWN"
        default: "NBD error \(rawValue)"
        }
    }
}
