/// A typed name for a header whose opcode is known (RFC 7143 §11). The view costs nothing: it *is* the 48
/// bytes. Wrap a received header only in the `case` of its opcode.
public protocol ProtocolDataUnit: BitwiseCopyable, Sendable {
    static var opcode: Opcode { get }
    var header: BasicHeaderSegment { get set }
    /// The header is already known to carry `opcode`.
    init(_ header: BasicHeaderSegment)
}

extension ProtocolDataUnit {
    @inline(__always) public var initiatorTaskTag: UInt32 { header.initiatorTaskTag }
    /// Bytes of data that follow the header, without padding.
    @inline(__always)
    public var dataSegmentLength: Int {
        get { header.dataSegmentLength }
        set { header.dataSegmentLength = newValue }
    }
}

/// What the initiator sends: every such PDU acknowledges status in bytes 28-31.
public protocol InitiatorPDU: ProtocolDataUnit {}

extension InitiatorPDU {
    /// The next StatSN that the initiator expects on this connection.
    @inline(__always)
    public var expStatSN: StatSN {
        get { StatSN(header[7]) }
        set { header[7] = newValue.value }
    }
}

/// What the target sends: every such PDU carries the command window.
public protocol TargetPDU: ProtocolDataUnit {}

extension TargetPDU {
    @inline(__always) public var statSN: StatSN { header.statSN }
    @inline(__always) public var expCmdSN: CmdSN { header.expCmdSN }
    @inline(__always) public var maxCmdSN: CmdSN { header.maxCmdSN }
}

/// Words 6 to 8 have one meaning in all PDUs from a target, so the window can be read before the opcode is
/// looked at.
extension BasicHeaderSegment {
    @inline(__always) public var statSN: StatSN { StatSN(self[6]) }
    @inline(__always) public var expCmdSN: CmdSN { CmdSN(self[7]) }
    @inline(__always) public var maxCmdSN: CmdSN { CmdSN(self[8]) }

    /// Word 0 of a request: opcode, I bit, the F bit or flags of byte 1, and bytes 2 and 3.
    @inline(__always)
    init(_ opcode: Opcode, immediate: Bool = false, byte1: UInt8 = 0x80, byte2: UInt8 = 0, byte3: UInt8 = 0) {
        self.init()
        let first = UInt32(opcode.rawValue) | (immediate ? 0x40 : 0)
        self[0] = first << 24 | UInt32(byte1) << 16 | UInt32(byte2) << 8 | UInt32(byte3)
    }

    /// Whether DataSegmentLength and TotalAHSLength fit what this side declared; checked before a byte of
    /// data is awaited.
    @inline(__always)
    public func fits(maxRecvDataSegmentLength: Int) -> Bool {
        dataSegmentLength <= maxRecvDataSegmentLength && totalAHSLength == 0
    }

    /// Bytes of data on the wire: DataSegmentLength rounded up to whole words (RFC 7143 §11.1).
    @inline(__always) public var paddedDataSegmentLength: Int { (dataSegmentLength + 3) & ~3 }
}
