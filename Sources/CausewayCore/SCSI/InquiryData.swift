/// The kind of device behind a logical unit (SPC-4 §6.6.2), an open set.
public struct PeripheralDeviceType: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue & 0x1f }

    /// A disk (SBC).
    public static let directAccessBlock = Self(rawValue: 0x00)
    public static let sequentialAccess = Self(rawValue: 0x01)
    public static let cdDVD = Self(rawValue: 0x05)
    /// The controller that some targets show as LUN 0; it holds no data.
    public static let storageArrayController = Self(rawValue: 0x0c)
    public static let enclosureServices = Self(rawValue: 0x0d)
    public static let hostManagedZonedBlock = Self(rawValue: 0x14)
    public static let wellKnownLogicalUnit = Self(rawValue: 0x1e)
    public static let unknown = Self(rawValue: 0x1f)
}

extension PeripheralDeviceType: CustomStringConvertible {
    public var description: String {
        switch self {
        case .directAccessBlock: "disk"
        case .sequentialAccess: "tape"
        case .cdDVD: "CD/DVD"
        case .storageArrayController: "storage array controller"
        case .enclosureServices: "enclosure"
        case .hostManagedZonedBlock: "host-managed zoned disk"
        case .wellKnownLogicalUnit: "well known logical unit"
        case .unknown: "no device"
        default: "device type \(rawValue.hexadecimalDigits)h"
        }
    }
}

/// Whether there is a device behind a logical unit number (SPC-4 §6.6.2), an open set.
public struct PeripheralQualifier: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue & 0x07 }

    public static let connected = Self(rawValue: 0b000)
    /// The target could have such a device, but none is connected.
    public static let notConnected = Self(rawValue: 0b001)
    /// There is no such logical unit.
    public static let notSupported = Self(rawValue: 0b011)
}

/// Ways in which a target manages asymmetric logical unit access: the TPGS field (SPC-4 §6.6.2).
public struct TargetPortGroupSupport: OptionSet, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue & 0x03 }

    /// The target changes access states by itself.
    public static let implicit = Self(rawValue: 0b01)
    /// SET TARGET PORT GROUPS changes access states.
    public static let explicit = Self(rawValue: 0b10)
}

/// Standard INQUIRY data (SPC-4 §6.6.2). Fields that the target left out are empty or false.
public struct InquiryData: Equatable, Sendable {
    public var qualifier: PeripheralQualifier
    public var deviceType: PeripheralDeviceType
    /// RMB: the medium can be taken out.
    public var isRemovable: Bool
    /// VERSION: 05h SPC-3, 06h SPC-4, 07h SPC-5; 00h claims no standard.
    public var version: UInt8
    public var targetPortGroupSupport: TargetPortGroupSupport
    /// PROTECT: the unit may be formatted with protection information.
    public var supportsProtectionInformation: Bool
    /// CMDQUE: full task management, so several commands at a time.
    public var supportsCommandQueuing: Bool
    public var vendor: TargetText
    public var product: TargetText
    public var revision: TargetText

    /// A unit that a disk can be made of is there.
    public var isDisk: Bool { qualifier == .connected && deviceType == .directAccessBlock }

    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        guard bytes.byteCount >= 5 else { throw .truncated(.inquiry, need: 5, have: bytes.byteCount) }
        let data = bytes.extracting(first: min(bytes.byteCount, 5 + Int(bytes.uint8(orZeroAt: 4))))
        qualifier = PeripheralQualifier(rawValue: data.uint8(orZeroAt: 0) >> 5)
        deviceType = PeripheralDeviceType(rawValue: data.uint8(orZeroAt: 0))
        isRemovable = data.uint8(orZeroAt: 1) & 0x80 != 0
        version = data.uint8(orZeroAt: 2)
        targetPortGroupSupport = TargetPortGroupSupport(rawValue: data.uint8(orZeroAt: 5) >> 4)
        supportsProtectionInformation = data.uint8(orZeroAt: 5) & 0x01 != 0
        supportsCommandQueuing = data.uint8(orZeroAt: 7) & 0x02 != 0
        vendor = TargetText(data.copy(8..<16))
        product = TargetText(data.copy(16..<32))
        revision = TargetText(data.copy(32..<36))
    }
}
