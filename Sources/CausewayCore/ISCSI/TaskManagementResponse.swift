/// Task Management Function Response (RFC 7143 §11.6, RFC 7144 §6.4).
public struct TaskManagementResponse: TargetPDU {
    @inline(__always) public static var opcode: Opcode { .taskManagementResponse }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    public struct Response: RawRepresentable, Equatable, BitwiseCopyable, Sendable, CustomStringConvertible {
        public let rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let functionComplete = Response(rawValue: 0)
        public static let taskDoesNotExist = Response(rawValue: 1)
        public static let lunDoesNotExist = Response(rawValue: 2)
        public static let taskStillAllegiant = Response(rawValue: 3)
        public static let reassignmentNotSupported = Response(rawValue: 4)
        public static let functionNotSupported = Response(rawValue: 5)
        public static let functionAuthorizationFailed = Response(rawValue: 6)
        public static let functionSucceeded = Response(rawValue: 7)
        public static let functionRejected = Response(rawValue: 255)

        public var description: String {
            switch rawValue {
            case 0: "function complete"
            case 1: "task does not exist"
            case 2: "LUN does not exist"
            case 3: "task still allegiant to another connection"
            case 4: "task allegiance reassignment not supported"
            case 5: "task management function not supported"
            case 6: "function authorization failed"
            case 7: "function succeeded"
            case 255: "function rejected"
            default: "unassigned task management response \(rawValue)"
            }
        }
    }

    @inline(__always) public var response: Response { Response(rawValue: header[byte: 2]) }
    /// Three bytes of SAM-5 7.10, for QUERY TASK and QUERY ASYNCHRONOUS EVENT.
    @inline(__always) public var additionalResponseInformation: UInt32 { header[2] >> 8 }
}
