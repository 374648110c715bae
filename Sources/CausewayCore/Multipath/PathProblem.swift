/// Why a path does not carry a disk, in words and as what it is.
public struct PathProblem: Sendable {
    public enum Kind: Sendable, Equatable {
        case unreachable
        case loginRefused(class: UInt8, detail: UInt8)
        /// One side does not prove to the other who it is.
        case authentication
        case targetNotFound
        case noSuchLUN
        /// The target says that there is no such LUN, or that it has failed for good: said on every path, the
        /// device is lost.
        case lunGone
        /// The LUN is there and takes no I/O on this path now.
        case notReady
        case otherLUN
        case protocolViolation
        case timedOut
    }
    public var kind: Kind
    public var interface: String
    public var portal: String
    public var text: String

    public init(kind: Kind, interface: String, portal: String, text: String) {
        self.kind = kind
        self.interface = interface
        self.portal = portal
        self.text = text
    }
}
