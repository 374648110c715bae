/// VPD page B1h, Block Device Characteristics (SBC-3 §6.5.2).
public struct BlockDeviceCharacteristics: Equatable, BitwiseCopyable, Sendable {
    /// MEDIUM ROTATION RATE, an open set.
    public struct RotationRate: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
        public var rawValue: UInt16
        @inline(__always) public init(rawValue: UInt16) { self.rawValue = rawValue }
        public static let notReported = Self(rawValue: 0)
        public static let nonRotating = Self(rawValue: 1)

        /// Turns a minute; nil where the medium does not rotate, none is reported, or the value is reserved.
        public var rpm: Int? { (0x0401...0xfffe).contains(rawValue) ? Int(rawValue) : nil }
    }

    public var rotationRate: RotationRate

    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        let end = try VitalProductDataPage.blockDeviceCharacteristics.end(in: bytes)
        let page = bytes.extracting(first: min(end, bytes.byteCount))
        rotationRate = RotationRate(rawValue: page.uint16(orZeroAt: 4))
    }
}
