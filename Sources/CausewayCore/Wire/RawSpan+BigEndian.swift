/// Cold parsing of big-endian fields at the offsets that the standards print. Bytes past the end read as
/// zero: pages grow with every revision of a standard, and a field that an older target leaves out means
/// zero. Where a structure is worthless when short, its parser checks the length once, before it reads.
extension RawSpan {
    func uint8(orZeroAt offset: Int) -> UInt8 { bigEndian(orZeroAt: offset) }
    func uint16(orZeroAt offset: Int) -> UInt16 { bigEndian(orZeroAt: offset) }
    func uint32(orZeroAt offset: Int) -> UInt32 { bigEndian(orZeroAt: offset) }
    func uint64(orZeroAt offset: Int) -> UInt64 { bigEndian(orZeroAt: offset) }

    private func bigEndian<T: FixedWidthInteger & BitwiseCopyable>(orZeroAt offset: Int) -> T {
        guard offset >= 0, offset <= byteCount - MemoryLayout<T>.size else { return 0 }
        return unsafe T(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// A copy of the bytes of `range` that are there.
    func copy(_ range: Range<Int>) -> [UInt8] {
        let range = range.clamped(to: 0..<byteCount)
        return range.map { uint8(orZeroAt: $0) }
    }
}
