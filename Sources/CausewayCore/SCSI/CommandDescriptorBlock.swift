/// A command descriptor block (SPC-4 §4.2), padded with zeros to the 16 bytes that the CDB field of an iSCSI
/// SCSI Command PDU holds (RFC 7143 §11.3.5). Kept as two words in wire order, so that a READ or WRITE is
/// built with two stores.
public struct CommandDescriptorBlock: Equatable, BitwiseCopyable, Sendable {
    public static let byteCount = 16

    /// Bytes 0 to 7 and 8 to 15, big-endian in memory.
    private var high: UInt64
    private var low: UInt64

    /// `high` and `low` in host order: the most significant byte of `high` is byte 0.
    @inline(__always)
    init(high: UInt64, low: UInt64 = 0) {
        self.high = high.bigEndian
        self.low = low.bigEndian
    }

    /// A command whose address and length fields lie where the 16-byte block commands have them: LOGICAL
    /// BLOCK ADDRESS in bytes 2 to 9, a 32-bit length in bytes 10 to 13.
    @inline(__always)
    private init(_ operation: OperationCode, byte1: UInt8 = 0, lba: UInt64, length: UInt32) {
        self.init(
            high: UInt64(operation.rawValue) << 56 | UInt64(byte1) << 48 | lba >> 16,
            low: lba << 48 | UInt64(length) << 16)
    }

    /// Word `index` (0 to 3) as a number in host order, as the words of a header are set.
    @inline(__always)
    public func word(_ index: Int) -> UInt32 {
        let half = UInt64(bigEndian: index & 2 == 0 ? high : low)
        return UInt32(truncatingIfNeeded: index & 1 == 0 ? half >> 32 : half)
    }

    /// Stores the 16 bytes; the caller has checked that there is room for them.
    @inline(__always)
    public func copy(to bytes: UnsafeMutableRawPointer) {
        unsafe bytes.storeBytes(of: high, as: UInt64.self)
        unsafe bytes.storeBytes(of: low, toByteOffset: 8, as: UInt64.self)
    }

    /// Byte `index` (0 to 15) as the standards number them.
    public func byte(_ index: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: word(index >> 2) >> UInt32(24 - 8 * (index & 3)))
    }

    @inline(__always)
    public var operationCode: OperationCode {
        OperationCode(rawValue: UInt8(truncatingIfNeeded: UInt64(bigEndian: high) >> 56))
    }
}

// The data path.
extension CommandDescriptorBlock {
    /// READ(16), SBC-3 §5.13. `fua`: from the medium, not from a volatile cache.
    @inline(__always)
    public static func read16(lba: UInt64, blocks: UInt32, fua: Bool = false) -> Self {
        Self(.read16, byte1: fua ? 0x08 : 0, lba: lba, length: blocks)
    }

    /// WRITE(16), SBC-3 §5.34. `fua`: on the medium before the status is sent.
    @inline(__always)
    public static func write16(lba: UInt64, blocks: UInt32, fua: Bool = false) -> Self {
        Self(.write16, byte1: fua ? 0x08 : 0, lba: lba, length: blocks)
    }

    /// SYNCHRONIZE CACHE(16), SBC-3 §5.30. Zero `blocks` means up to the end of the medium. The IMMED bit
    /// stays clear: with it the status would come before the data are safe.
    @inline(__always)
    public static func synchronizeCache16(lba: UInt64 = 0, blocks: UInt32 = 0) -> Self {
        Self(.synchronizeCache16, lba: lba, length: blocks)
    }

    /// UNMAP, SBC-3 §5.32; the parameter list is an ``UnmapParameterList``.
    @inline(__always)
    public static func unmap(parameterListLength: UInt16) -> Self {
        Self(
            high: UInt64(OperationCode.unmap.rawValue) << 56 | UInt64(parameterListLength >> 8),
            low: UInt64(parameterListLength & 0xff) << 56)
    }

    /// WRITE SAME(16), SBC-3 §5.43. `unmap` lets the target deallocate instead of writing; `ndob` (no
    /// data-out buffer, SBC-4) writes zeros and sends no block.
    @inline(__always)
    public static func writeSame16(
        lba: UInt64, blocks: UInt32, unmap: Bool = false, ndob: Bool = false
    ) -> Self {
        Self(.writeSame16, byte1: (unmap ? 0x08 : 0) | (ndob ? 0x01 : 0), lba: lba, length: blocks)
    }

    /// GET LBA STATUS, SBC-3 §5.5.
    @inline(__always)
    public static func getLBAStatus(lba: UInt64, allocationLength: UInt32) -> Self {
        Self(
            .serviceActionIn16, byte1: ServiceAction.getLBAStatus, lba: lba, length: allocationLength)
    }

    @inline(__always)
    public static var testUnitReady: Self { Self(high: 0) }
}

// What is asked when a path or a disk is set up.
extension CommandDescriptorBlock {
    enum ServiceAction {
        static let readCapacity16: UInt8 = 0x10
        static let getLBAStatus: UInt8 = 0x12
        /// Of MAINTENANCE IN and MAINTENANCE OUT alike.
        static let targetPortGroups: UInt8 = 0x0a
    }

    /// INQUIRY, SPC-4 §6.6: standard data, or vital product data when `page` names one.
    public static func inquiry(page: VitalProductDataPage? = nil, allocationLength: UInt16) -> Self {
        Self(
            high: UInt64(OperationCode.inquiry.rawValue) << 56 | (page == nil ? 0 : 1) << 48
                | UInt64(page?.rawValue ?? 0) << 40 | UInt64(allocationLength) << 24)
    }

    /// READ CAPACITY(16), SBC-3 §5.16.
    public static func readCapacity16(allocationLength: UInt32 = 32) -> Self {
        Self(.serviceActionIn16, byte1: ServiceAction.readCapacity16, lba: 0, length: allocationLength)
    }

    /// MODE SENSE(6), SPC-4 §6.11: current values, without block descriptors.
    public static func modeSense6(page: ModePage, allocationLength: UInt8 = 255) -> Self {
        Self(
            high: UInt64(OperationCode.modeSense6.rawValue) << 56 | 0x08 << 48
                | UInt64(page.rawValue & 0x3f) << 40 | UInt64(allocationLength) << 24)
    }

    /// MODE SENSE(10), SPC-4 §6.12: current values, without block descriptors.
    public static func modeSense10(page: ModePage, allocationLength: UInt16) -> Self {
        Self(
            high: UInt64(OperationCode.modeSense10.rawValue) << 56 | 0x08 << 48
                | UInt64(page.rawValue & 0x3f) << 40 | UInt64(allocationLength >> 8),
            low: UInt64(allocationLength & 0xff) << 56)
    }

    /// REPORT LUNS, SPC-4 §6.33, with SELECT REPORT 00h: the logical units that hold data, without the well
    /// known ones.
    public static func reportLUNs(allocationLength: UInt32) -> Self {
        Self(
            high: UInt64(OperationCode.reportLUNs.rawValue) << 56 | UInt64(allocationLength >> 16),
            low: UInt64(allocationLength & 0xffff) << 48)
    }

    /// REPORT TARGET PORT GROUPS, SPC-4 §6.37. The extended header tells how long a transition may take; a
    /// target that does not know it answers 5/24/00.
    public static func reportTargetPortGroups(extendedHeader: Bool, allocationLength: UInt32) -> Self {
        let byte1 = ServiceAction.targetPortGroups | (extendedHeader ? 0x20 : 0)
        return Self(
            high: UInt64(OperationCode.maintenanceIn.rawValue) << 56 | UInt64(byte1) << 48
                | UInt64(allocationLength >> 16),
            low: UInt64(allocationLength & 0xffff) << 48)
    }

    /// SET TARGET PORT GROUPS, SPC-4 §6.45.
    public static func setTargetPortGroups(parameterListLength: UInt32) -> Self {
        Self(
            high: UInt64(OperationCode.maintenanceOut.rawValue) << 56
                | UInt64(ServiceAction.targetPortGroups) << 48 | UInt64(parameterListLength >> 16),
            low: UInt64(parameterListLength & 0xffff) << 48)
    }

    /// PERSISTENT RESERVE IN, SPC-4 §6.15.
    public static func persistentReserveIn(
        _ action: PersistentReserveInAction, allocationLength: UInt16
    ) -> Self {
        Self(
            high: UInt64(OperationCode.persistentReserveIn.rawValue) << 56
                | UInt64(action.rawValue & 0x1f) << 48 | UInt64(allocationLength >> 8),
            low: UInt64(allocationLength & 0xff) << 56)
    }

    /// PERSISTENT RESERVE OUT, SPC-4 §6.16, with the scope of the whole logical unit.
    public static func persistentReserveOut(
        _ action: PersistentReserveOutAction, type: PersistentReservationType? = nil,
        parameterListLength: UInt32 = 24
    ) -> Self {
        Self(
            high: UInt64(OperationCode.persistentReserveOut.rawValue) << 56
                | UInt64(action.rawValue & 0x1f) << 48 | UInt64((type?.rawValue ?? 0) & 0x0f) << 40
                | UInt64(parameterListLength >> 8),
            low: UInt64(parameterListLength & 0xff) << 56)
    }
}

extension CommandDescriptorBlock: CustomStringConvertible {
    /// The command's name as the standards print it, for logs.
    public var operationName: String {
        let serviceAction = byte(1) & 0x1f
        switch (operationCode, serviceAction) {
        case (.testUnitReady, _): return "TEST UNIT READY"
        case (.inquiry, _): return "INQUIRY"
        case (.modeSense6, _): return "MODE SENSE(6)"
        case (.modeSense10, _): return "MODE SENSE(10)"
        case (.unmap, _): return "UNMAP"
        case (.persistentReserveIn, _): return "PERSISTENT RESERVE IN"
        case (.persistentReserveOut, _): return "PERSISTENT RESERVE OUT"
        case (.read16, _): return "READ(16)"
        case (.write16, _): return "WRITE(16)"
        case (.synchronizeCache16, _): return "SYNCHRONIZE CACHE(16)"
        case (.writeSame16, _): return "WRITE SAME(16)"
        case (.serviceActionIn16, ServiceAction.readCapacity16): return "READ CAPACITY(16)"
        case (.serviceActionIn16, ServiceAction.getLBAStatus): return "GET LBA STATUS"
        case (.reportLUNs, _): return "REPORT LUNS"
        case (.maintenanceIn, ServiceAction.targetPortGroups): return "REPORT TARGET PORT GROUPS"
        case (.maintenanceOut, ServiceAction.targetPortGroups): return "SET TARGET PORT GROUPS"
        default: return "command \(operationCode.rawValue.hexadecimalDigits)h"
        }
    }

    /// The name and the sixteen bytes.
    public var description: String {
        let words = (0..<4).map { word($0).hexadecimalDigits }
        return "\(operationName) [\(words.joined(separator: " "))]"
    }
}
