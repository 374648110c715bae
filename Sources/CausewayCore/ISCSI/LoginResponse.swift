/// Login Response (RFC 7143 §11.13).
public struct LoginResponse: TargetPDU {
    @inline(__always) public static var opcode: Opcode { .loginResponse }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    /// T: the stage ends here.
    public var isTransit: Bool { header.isFinal }
    /// C: the text goes on in the next response; excludes T.
    public var isContinued: Bool { header[byte: 1] & 0x40 != 0 }
    public var currentStage: LoginStage? { LoginStage(rawValue: header[byte: 1] >> 2 & 3) }
    /// Valid only with T.
    public var nextStage: LoginStage? { LoginStage(rawValue: header[byte: 1] & 3) }
    public var versionMax: UInt8 { header[byte: 2] }
    public var versionActive: UInt8 { header[byte: 3] }
    public var isid: InitiatorSessionID { InitiatorSessionID(value: header.lun >> 16) }
    public var tsih: UInt16 { UInt16(truncatingIfNeeded: header[3]) }
    public var status: LoginStatus { LoginStatus(rawValue: UInt16(truncatingIfNeeded: header[9] >> 16)) }
}
