/// The stages of the Login Phase (RFC 7143 §11.12.3); 2 is reserved.
public enum LoginStage: UInt8, BitwiseCopyable, Sendable, CustomStringConvertible {
    case securityNegotiation = 0
    case loginOperationalNegotiation = 1
    case fullFeaturePhase = 3

    public var description: String {
        switch self {
        case .securityNegotiation: "SecurityNegotiation"
        case .loginOperationalNegotiation: "LoginOperationalNegotiation"
        case .fullFeaturePhase: "FullFeaturePhase"
        }
    }
}

/// Login Request (RFC 7143 §11.12), always immediate.
public struct LoginRequest: InitiatorPDU {
    @inline(__always) public static var opcode: Opcode { .loginRequest }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    /// - Parameters:
    ///   - nextStage: with a value the T bit is set: ready to move there.
    ///   - isContinued: C: the text goes on in the next request; excludes T.
    ///   - tsih: 0 for a new session (or for reinstating one), else the session that the connection joins.
    public init(
        currentStage: LoginStage, nextStage: LoginStage?, isContinued: Bool = false, isid: InitiatorSessionID,
        tsih: UInt16, initiatorTaskTag: UInt32, cid: UInt16, cmdSN: CmdSN, expStatSN: StatSN,
        dataSegmentLength: Int
    ) {
        assert(!(isContinued && nextStage != nil), "RFC 7143 §11.12.2: C excludes T")
        let transit = nextStage.map { 0x80 | $0.rawValue } ?? 0
        // Version-max and Version-min, bytes 2 and 3, are both 0x00 (RFC 7143 §11.12.4).
        header = BasicHeaderSegment(
            .loginRequest, immediate: true,
            byte1: transit | (isContinued ? 0x40 : 0) | currentStage.rawValue << 2)
        header.dataSegmentLength = dataSegmentLength
        header.lun = isid.value << 16 | UInt64(tsih)
        header[4] = initiatorTaskTag
        header[5] = UInt32(cid) << 16
        header[6] = cmdSN.value
        header[7] = expStatSN.value
    }

    public var isTransit: Bool { header.isFinal }
    public var isContinued: Bool { header[byte: 1] & 0x40 != 0 }
    public var currentStage: LoginStage? { LoginStage(rawValue: header[byte: 1] >> 2 & 3) }
    /// Valid only with T.
    public var nextStage: LoginStage? { LoginStage(rawValue: header[byte: 1] & 3) }
    public var isid: InitiatorSessionID { InitiatorSessionID(value: header.lun >> 16) }
    public var tsih: UInt16 { UInt16(truncatingIfNeeded: header[3]) }
    public var cid: UInt16 { UInt16(truncatingIfNeeded: header[5] >> 16) }
    public var cmdSN: CmdSN { CmdSN(header[6]) }
}
