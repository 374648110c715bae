/// Asynchronous Message (RFC 7143 §11.9): the target reports something that no request asked for.
public struct AsynchronousMessage: TargetPDU {
    @inline(__always) public static var opcode: Opcode { .asynchronousMessage }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    public struct Event: RawRepresentable, Equatable, BitwiseCopyable, Sendable, CustomStringConvertible {
        public let rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let scsiEvent = Event(rawValue: 0)
        /// Log out within `parameter3` seconds.
        public static let logoutRequest = Event(rawValue: 1)
        /// `parameter1` is the CID, `parameter2` Time2Wait and `parameter3` Time2Retain in seconds.
        public static let connectionDrop = Event(rawValue: 2)
        /// `parameter2` is Time2Wait and `parameter3` Time2Retain in seconds.
        public static let sessionDrop = Event(rawValue: 3)
        /// Send a Text Request within `parameter3` seconds, or log out.
        public static let negotiationRequest = Event(rawValue: 4)
        /// The tasks of the LUN end; only legal when TaskReporting is FastAbort.
        public static let taskTermination = Event(rawValue: 5)

        public var isVendorSpecific: Bool { rawValue >= 248 }

        public var description: String {
            switch rawValue {
            case 0: "SCSI asynchronous event"
            case 1: "target requests logout"
            case 2: "target drops the connection"
            case 3: "target drops the session"
            case 4: "target requests parameter negotiation"
            case 5: "target terminates the tasks of the LUN"
            case 248...: "vendor-specific event \(rawValue)"
            default: "unassigned event \(rawValue)"
            }
        }
    }

    /// Valid for `scsiEvent` and `taskTermination`.
    @inline(__always) public var lun: UInt64 { header.lun }
    @inline(__always) public var event: Event { Event(rawValue: header[byte: 36]) }
    @inline(__always) public var asyncVCode: UInt8 { header[byte: 37] }
    @inline(__always) public var parameter1: UInt16 { UInt16(truncatingIfNeeded: header[9]) }
    @inline(__always) public var parameter2: UInt16 { UInt16(truncatingIfNeeded: header[10] >> 16) }
    @inline(__always) public var parameter3: UInt16 { UInt16(truncatingIfNeeded: header[10]) }
}
