/// Vital product data page codes (SPC-4 §7.8, SBC-3 §6.5), an open set.
public struct VitalProductDataPage: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let supportedPages = Self(rawValue: 0x00)
    public static let unitSerialNumber = Self(rawValue: 0x80)
    public static let deviceIdentification = Self(rawValue: 0x83)
    public static let blockLimits = Self(rawValue: 0xb0)
    public static let blockDeviceCharacteristics = Self(rawValue: 0xb1)
    public static let logicalBlockProvisioning = Self(rawValue: 0xb2)
}

extension VitalProductDataPage {
    /// The end of this page in `bytes` as its four-byte header gives it: byte 1 the page code, bytes 2 and 3
    /// the PAGE LENGTH. Throws `wrongPage` when another page came: a target that ignores EVPD sends standard
    /// data.
    func end(in bytes: RawSpan) throws(SCSIDataError) -> Int {
        guard bytes.byteCount >= 4 else {
            throw .truncated(.vitalProductData, need: 4, have: bytes.byteCount)
        }
        let found = bytes.uint8(orZeroAt: 1)
        guard found == rawValue else { throw .wrongPage(asked: rawValue, found: found) }
        return 4 + Int(bytes.uint16(orZeroAt: 2))
    }

    /// As `end(in:)` for a page that is worthless unless whole.
    func wholeEnd(in bytes: RawSpan) throws(SCSIDataError) -> Int {
        let end = try end(in: bytes)
        guard end <= bytes.byteCount else {
            throw .truncated(.vitalProductData, need: end, have: bytes.byteCount)
        }
        return end
    }
}

/// Page 00h: which pages the logical unit has (SPC-4 §7.8.14).
public struct SupportedVitalProductDataPages: Equatable, Sendable {
    public var pages: [VitalProductDataPage]

    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        let end = try VitalProductDataPage.supportedPages.wholeEnd(in: bytes)
        pages = bytes.copy(4..<end).map(VitalProductDataPage.init(rawValue:))
    }

    public func contains(_ page: VitalProductDataPage) -> Bool { pages.contains(page) }
}

/// Page 80h: the serial number of the logical unit (SPC-4 §7.8.15).
public struct UnitSerialNumber: Equatable, Sendable {
    public var text: TargetText

    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        let end = try VitalProductDataPage.unitSerialNumber.wholeEnd(in: bytes)
        text = TargetText(bytes.copy(4..<end))
    }
}
