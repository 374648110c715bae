/// Reject (RFC 7143 §11.17). Its data segment is the header of the rejected PDU.
public struct Reject: TargetPDU {
    @inline(__always) public static var opcode: Opcode { .reject }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    public struct Reason: RawRepresentable, Equatable, BitwiseCopyable, Sendable, CustomStringConvertible {
        public let rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let dataDigestError = Reason(rawValue: 0x02)
        public static let snackReject = Reason(rawValue: 0x03)
        public static let protocolError = Reason(rawValue: 0x04)
        public static let commandNotSupported = Reason(rawValue: 0x05)
        public static let tooManyImmediateCommands = Reason(rawValue: 0x06)
        public static let taskInProgress = Reason(rawValue: 0x07)
        public static let invalidDataAck = Reason(rawValue: 0x08)
        public static let invalidPDUField = Reason(rawValue: 0x09)
        public static let outOfTransferTags = Reason(rawValue: 0x0a)
        /// Deprecated; ends the login and the connection where it still comes.
        public static let negotiationReset = Reason(rawValue: 0x0b)
        public static let waitingForLogout = Reason(rawValue: 0x0c)

        /// Whether the rejected PDU may be sent again as it is (RFC 7143 §11.17.1).
        public var mayResend: Bool {
            switch rawValue {
            case 0x02, 0x03, 0x06, 0x0a: true
            default: false
            }
        }

        public var description: String {
            switch rawValue {
            case 0x02: "data digest error"
            case 0x03: "SNACK reject"
            case 0x04: "protocol error"
            case 0x05: "command not supported"
            case 0x06: "too many immediate commands"
            case 0x07: "task in progress"
            case 0x08: "invalid data acknowledgement"
            case 0x09: "invalid PDU field"
            case 0x0a: "out of resources for a target transfer tag"
            case 0x0b: "negotiation reset"
            case 0x0c: "waiting for logout"
            default: "unassigned reject reason \(rawValue)"
            }
        }
    }

    @inline(__always) public var reason: Reason { Reason(rawValue: header[byte: 2]) }
    /// Valid only when a Data/R2T SNACK was rejected with `protocolError`.
    @inline(__always) public var dataSN: UInt32 { header[9] }
}
