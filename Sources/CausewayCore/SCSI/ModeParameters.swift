/// Mode page codes (SPC-4 §7.5, SBC-3 §6.4), an open set.
public struct ModePage: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue & 0x3f }

    public static let caching = Self(rawValue: 0x08)
    public static let control = Self(rawValue: 0x0a)
    /// Every page that the unit has.
    public static let all = Self(rawValue: 0x3f)
}

/// How a logical unit keeps the tasks of several I_T nexuses: TST of the control mode page (SPC-4 §7.5.8), an
/// open set.
public struct TaskSetType: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue & 0x07 }

    /// One task set for all nexuses: an ORDERED task waits for the older tasks of every session.
    public static let shared = Self(rawValue: 0b000)
    /// A task set for each nexus: an ORDERED task of one session proves nothing about another.
    public static let perNexus = Self(rawValue: 0b001)
}

/// The answer to MODE SENSE for a block device: the device-specific parameter (SBC-3 §6.4.1) and of the pages
/// those fields that a disk needs. Nil where the answer did not hold the page.
public struct ModeParameters: Equatable, BitwiseCopyable, Sendable {
    /// WP: writes are refused.
    public var isWriteProtected: Bool
    /// DPOFUA: READ and WRITE take the FUA bit.
    public var supportsFUA: Bool
    /// WCE of the caching page: a write may be answered before it is on the medium.
    public var writeCacheEnabled: Bool?
    /// RCD of the caching page.
    public var readCacheDisabled: Bool?
    /// TST of the control page.
    public var taskSetType: TaskSetType?
    /// SWP of the control page: write-protected by software.
    public var softwareWriteProtect: Bool?

    /// The data of MODE SENSE(6): a header of four bytes.
    public init(modeSense6 bytes: RawSpan) throws(SCSIDataError) {
        guard bytes.byteCount >= 4 else { throw .truncated(.modeSense, need: 4, have: bytes.byteCount) }
        self.init(
            bytes, deviceSpecific: bytes.uint8(orZeroAt: 2), end: 1 + Int(bytes.uint8(orZeroAt: 0)),
            pages: 4 + Int(bytes.uint8(orZeroAt: 3)))
    }

    /// The data of MODE SENSE(10): a header of eight bytes.
    public init(modeSense10 bytes: RawSpan) throws(SCSIDataError) {
        guard bytes.byteCount >= 8 else { throw .truncated(.modeSense, need: 8, have: bytes.byteCount) }
        self.init(
            bytes, deviceSpecific: bytes.uint8(orZeroAt: 3), end: 2 + Int(bytes.uint16(orZeroAt: 0)),
            pages: 8 + Int(bytes.uint16(orZeroAt: 6)))
    }

    /// A page counts as there when its used bytes are there: some targets cut pages short.
    private init(_ bytes: RawSpan, deviceSpecific: UInt8, end: Int, pages start: Int) {
        isWriteProtected = deviceSpecific & 0x80 != 0
        supportsFUA = deviceSpecific & 0x10 != 0
        let end = min(end, bytes.byteCount)
        var offset = start
        while offset + 2 <= end {
            let first = bytes.uint8(orZeroAt: offset)
            let hasSubpage = first & 0x40 != 0
            let length =
                hasSubpage
                ? 4 + Int(bytes.uint16(orZeroAt: offset + 2)) : 2 + Int(bytes.uint8(orZeroAt: offset + 1))
            let available = min(offset + length, end) - offset
            switch ModePage(rawValue: first) {
            case .caching where !hasSubpage && available > 2:
                let flags = bytes.uint8(orZeroAt: offset + 2)
                writeCacheEnabled = flags & 0x04 != 0
                readCacheDisabled = flags & 0x01 != 0
            case .control where !hasSubpage && available > 4:
                taskSetType = TaskSetType(rawValue: bytes.uint8(orZeroAt: offset + 2) >> 5)
                softwareWriteProtect = bytes.uint8(orZeroAt: offset + 4) & 0x08 != 0
            default: break
            }
            offset += length
        }
    }

    /// Joins the answers of one MODE SENSE a page: what `other` does not hold stays.
    public func merging(_ other: ModeParameters) -> ModeParameters {
        var merged = other
        merged.writeCacheEnabled = other.writeCacheEnabled ?? writeCacheEnabled
        merged.readCacheDisabled = other.readCacheDisabled ?? readCacheDisabled
        merged.taskSetType = other.taskSetType ?? taskSetType
        merged.softwareWriteProtect = other.softwareWriteProtect ?? softwareWriteProtect
        return merged
    }
}
