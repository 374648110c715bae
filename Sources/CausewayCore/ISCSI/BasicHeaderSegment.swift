/// The 48-byte Basic Header Segment that starts every iSCSI PDU (RFC 7143 §11.2.1), kept as the
/// twelve big-endian words that travel on the wire.
public struct BasicHeaderSegment: BitwiseCopyable, Sendable {
    public static let byteCount = 48

    var words = [12 of UInt32](repeating: 0)

    public init() {}

    public init(opcode: Opcode, immediate: Bool = false) {
        self[0] = UInt32(opcode.rawValue | (immediate ? 0x40 : 0)) << 24
    }

    /// Copies a header out of a receive buffer; the caller has checked that 48 bytes are there.
    @inline(__always)
    public init(copyingFrom bytes: UnsafeRawPointer) {
        unsafe words = bytes.loadUnaligned(as: [12 of UInt32].self)
    }

    @inline(__always)
    public func copy(to bytes: UnsafeMutableRawPointer) {
        unsafe bytes.storeBytes(of: words, as: [12 of UInt32].self)
    }

    /// Word `index` (0 to 11) in host byte order.
    @inline(__always)
    public subscript(index: Int) -> UInt32 {
        get { UInt32(bigEndian: words[index]) }
        set { words[index] = newValue.bigEndian }
    }

    /// Byte `offset` (0 to 47) as RFC 7143 numbers them.
    @inline(__always)
    public subscript(byte offset: Int) -> UInt8 {
        get { UInt8(truncatingIfNeeded: self[offset >> 2] >> UInt32(24 - 8 * (offset & 3))) }
        set {
            let shift = UInt32(24 - 8 * (offset & 3))
            self[offset >> 2] = self[offset >> 2] & ~(0xff << shift) | UInt32(newValue) << shift
        }
    }

    @inline(__always)
    public var opcode: Opcode { Opcode(rawValue: UInt8(truncatingIfNeeded: self[0] >> 24) & 0x3f) }
    /// The I bit: an immediate command does not use up a CmdSN (RFC 7143 §11.2.1.1).
    @inline(__always)
    public var isImmediate: Bool { self[0] & 0x4000_0000 != 0 }
    /// The F bit of byte 1.
    @inline(__always)
    public var isFinal: Bool { self[0] & 0x0080_0000 != 0 }
    /// TotalAHSLength, in four-byte words.
    @inline(__always)
    public var totalAHSLength: Int { Int(self[1] >> 24) }
    @inline(__always)
    public var dataSegmentLength: Int {
        get { Int(self[1] & 0x00ff_ffff) }
        set { self[1] = self[1] & 0xff00_0000 | UInt32(truncatingIfNeeded: newValue) & 0x00ff_ffff }
    }
    /// The eight bytes of the LUN field, big-endian (SAM-5 4.7).
    @inline(__always)
    public var lun: UInt64 {
        get { UInt64(self[2]) << 32 | UInt64(self[3]) }
        set {
            self[2] = UInt32(truncatingIfNeeded: newValue >> 32)
            self[3] = UInt32(truncatingIfNeeded: newValue)
        }
    }
    @inline(__always)
    public var initiatorTaskTag: UInt32 {
        get { self[4] }
        set { self[4] = newValue }
    }
}

/// Opcodes as an open set: an unknown one from the peer stays printable, so that it can be rejected by name.
public struct Opcode: RawRepresentable, Equatable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let nopOut = Opcode(rawValue: 0x00)
    public static let scsiCommand = Opcode(rawValue: 0x01)
    public static let taskManagementRequest = Opcode(rawValue: 0x02)
    public static let loginRequest = Opcode(rawValue: 0x03)
    public static let textRequest = Opcode(rawValue: 0x04)
    public static let scsiDataOut = Opcode(rawValue: 0x05)
    public static let logoutRequest = Opcode(rawValue: 0x06)
    public static let snackRequest = Opcode(rawValue: 0x10)
    public static let nopIn = Opcode(rawValue: 0x20)
    public static let scsiResponse = Opcode(rawValue: 0x21)
    public static let taskManagementResponse = Opcode(rawValue: 0x22)
    public static let loginResponse = Opcode(rawValue: 0x23)
    public static let textResponse = Opcode(rawValue: 0x24)
    public static let scsiDataIn = Opcode(rawValue: 0x25)
    public static let logoutResponse = Opcode(rawValue: 0x26)
    public static let readyToTransfer = Opcode(rawValue: 0x31)
    public static let asynchronousMessage = Opcode(rawValue: 0x32)
    public static let reject = Opcode(rawValue: 0x3f)
}

/// The tag value that RFC 7143 reserves for "no task" and "no transfer".
public let reservedTag: UInt32 = 0xffff_ffff
