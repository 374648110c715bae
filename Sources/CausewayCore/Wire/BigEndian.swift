/// Loads and stores of big-endian words at unaligned addresses: every field of iSCSI, SCSI and NBD is
/// big-endian.
extension UnsafeRawPointer {
    @inline(__always)
    @safe func loadBigEndian<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as _: T.Type) -> T {
        unsafe T(bigEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}

extension UnsafeMutableRawPointer {
    @inline(__always)
    @safe func storeBigEndian<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, _ offset: Int) {
        unsafe storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
    }
}
