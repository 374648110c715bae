/// Goes on with a CRC32C over `count` more bytes: the first call takes 0, the result of the last is the
/// checksum. A plain C function, so that the processor's own instruction can be handed in, and calling it
/// costs a lane neither a reference count nor an allocation.
public typealias Checksum = @Sendable @convention(c) (UInt32, UnsafeRawPointer, Int) -> UInt32

/// CRC32C (Castagnoli) in plain Swift, for processors without an instruction for it. RFC 7143 §13.1 names
/// the polynomial 0x11edc6f41; here its bits are in the order in which they travel.
public enum CRC32C {
    private static let polynomial: UInt32 = 0x82f6_3b78

    /// Eight tables of 256: entry n of table t is the checksum of byte n followed by t zero bytes.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 != 0 ? crc >> 1 ^ polynomial : crc >> 1 }
            tables[byte] = crc
        }
        for entry in 256..<tables.count {
            let previous = tables[entry - 256]
            tables[entry] = tables[Int(previous & 0xff)] ^ previous >> 8
        }
        return tables
    }()

    public static let portable: Checksum = { before, bytes, count in
        unsafe tables.withUnsafeBufferPointer { tables in
            var crc = ~before
            var at = 0
            while at &+ 8 <= count {
                let word = unsafe UInt64(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                let mixed = word ^ UInt64(crc)
                crc = 0
                for byte in 0..<8 {
                    let index = (7 &- byte) &* 256 &+ Int(mixed >> UInt64(8 &* byte) & 0xff)
                    crc ^= unsafe tables[index]
                }
                at &+= 8
            }
            while at < count {
                let byte = unsafe bytes.load(fromByteOffset: at, as: UInt8.self)
                crc = unsafe tables[Int((crc ^ UInt32(byte)) & 0xff)] ^ crc >> 8
                at &+= 1
            }
            return ~crc
        }
    }
}
