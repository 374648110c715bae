/// Big-endian fields in arrays of bytes. A short array reads as zeros.
extension [UInt8] {
    func field(_ offset: Int, bytes count: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in offset..<offset + count {
            value = value << 8 | (index < self.count ? UInt64(self[index]) : 0)
        }
        return value
    }

    mutating func put(_ value: UInt64, _ offset: Int, bytes count: Int) {
        for index in 0..<count {
            self[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - index)))
        }
    }

    mutating func append(_ value: UInt64, bytes count: Int) {
        for index in 0..<count { append(UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - index)))) }
    }
}

/// What a block holds: a stamp that names the write and the block, spread over all of its words, so that
/// torn, shifted and misplaced data is seen. Stamp 0 is a block of zeros.
enum BlockPattern {
    static let lbaBits: UInt64 = 24

    static func stamp(write: UInt64, lba: Int) -> UInt64 { write << lbaBits | UInt64(lba) }
    static func lba(_ stamp: UInt64) -> Int { Int(stamp & (1 << lbaBits - 1)) }
    static func write(_ stamp: UInt64) -> UInt64 { stamp >> lbaBits }

    @inline(__always)
    private static func word(_ stamp: UInt64, _ index: Int) -> UInt64 {
        stamp == 0 ? 0 : stamp ^ UInt64(truncatingIfNeeded: index) &* 0x9e37_79b9_7f4a_7c15
    }

    static func append(_ stamp: UInt64, blockLength: Int, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: blockLength))
        guard stamp != 0 else { return }
        unsafe bytes.withUnsafeMutableBytes { buffer in
            for index in 0..<blockLength / 8 {
                unsafe buffer.storeBytes(
                    of: word(stamp, index), toByteOffset: start + 8 * index, as: UInt64.self)
            }
        }
    }

    /// The stamp of a whole block, nil if its words do not belong together.
    static func read(_ bytes: [UInt8], at offset: Int, blockLength: Int) -> UInt64? {
        guard bytes.count >= offset + blockLength else { return nil }
        return unsafe bytes.withUnsafeBytes { buffer in
            let stamp = unsafe buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            for index in 1..<blockLength / 8 {
                let word = unsafe buffer.loadUnaligned(fromByteOffset: offset + 8 * index, as: UInt64.self)
                if word != Self.word(stamp, index) { return nil }
            }
            return stamp
        }
    }
}
