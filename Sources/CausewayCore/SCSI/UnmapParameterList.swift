/// Builds the data that UNMAP sends (SBC-3 §5.32.2) into a buffer of the caller's: a header of eight bytes
/// and sixteen bytes a descriptor. Nothing is allocated.
@safe
public struct UnmapParameterList {
    public static let headerByteCount = 8
    public static let descriptorByteCount = 16
    /// As many as the two-byte length fields can count.
    public static let descriptorCountMax = 4095

    private let buffer: UnsafeMutableRawBufferPointer
    private let capacity: Int
    public private(set) var descriptorCount = 0

    /// `buffer` stays the caller's and outlives the list. With under 24 bytes it takes no descriptor.
    public init(in buffer: UnsafeMutableRawBufferPointer) {
        unsafe self.buffer = buffer
        capacity = min(
            Self.descriptorCountMax,
            max(0, buffer.count - Self.headerByteCount) / Self.descriptorByteCount)
    }

    /// Adds `blocks` from `lba` on; false when the buffer is full.
    public mutating func append(lba: UInt64, blocks: UInt32) -> Bool {
        guard descriptorCount < capacity, let base = unsafe buffer.baseAddress else { return false }
        let descriptor = unsafe base + Self.headerByteCount + descriptorCount * Self.descriptorByteCount
        descriptor.storeBigEndian(lba, 0)
        descriptor.storeBigEndian(blocks, 8)
        descriptor.storeBigEndian(UInt32(0), 12)
        descriptorCount += 1
        return true
    }

    /// Writes the header and returns the length of the whole, the PARAMETER LIST LENGTH of the command; zero
    /// when the buffer holds not even a header.
    public func finish() -> UInt16 {
        guard let base = unsafe buffer.baseAddress, unsafe buffer.count >= Self.headerByteCount else {
            return 0
        }
        let descriptors = UInt16(descriptorCount * Self.descriptorByteCount)
        // UNMAP DATA LENGTH counts what follows itself, UNMAP BLOCK DESCRIPTOR DATA LENGTH the descriptors
        // alone.
        base.storeBigEndian(descriptors + 6, 0)
        base.storeBigEndian(descriptors, 2)
        base.storeBigEndian(UInt32(0), 4)
        return descriptors + UInt16(Self.headerByteCount)
    }
}
