/// Logout Response (RFC 7143 §11.15).
public struct LogoutResponse: TargetPDU {
    @inline(__always) public static var opcode: Opcode { .logoutResponse }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    public struct Response: RawRepresentable, Equatable, BitwiseCopyable, Sendable, CustomStringConvertible {
        public let rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let closed = Response(rawValue: 0)
        public static let cidNotFound = Response(rawValue: 1)
        public static let recoveryNotSupported = Response(rawValue: 2)
        public static let cleanupFailed = Response(rawValue: 3)

        public var description: String {
            switch rawValue {
            case 0: "closed"
            case 1: "connection ID not found"
            case 2: "connection recovery is not supported"
            case 3: "cleanup failed"
            default: "reserved logout response \(rawValue)"
            }
        }
    }

    public var response: Response { Response(rawValue: header[byte: 2]) }
    /// Seconds; what they mean depends on `response` (RFC 7143 §11.15.3, §11.15.4).
    public var time2Wait: UInt16 { UInt16(truncatingIfNeeded: header[10] >> 16) }
    public var time2Retain: UInt16 { UInt16(truncatingIfNeeded: header[10]) }
}
