@testable import CausewayCore

/// Hexadecimal text to bytes; spaces and line ends are free, `//` begins a comment.
func bytes(_ hex: String) -> [UInt8] {
    var digits: [UInt8] = []
    for line in hex.split(separator: "\n") {
        let code = line.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)[0]
        digits += code.compactMap { $0.hexDigitValue.map(UInt8.init) }
    }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// A header out of 48 bytes written by hand.
func header(_ hex: String) -> BasicHeaderSegment {
    let raw = bytes(hex)
    precondition(raw.count == 48, "\(raw.count) bytes")
    var header = BasicHeaderSegment()
    for (offset, byte) in raw.enumerated() { header[byte: offset] = byte }
    return header
}

func wire(_ header: BasicHeaderSegment) -> [UInt8] {
    var raw = [UInt8](repeating: 0xee, count: 48)
    raw.withUnsafeMutableBytes { buffer in
        if let start = buffer.baseAddress { header.copy(to: start) }
    }
    return raw
}

/// splitmix64: the same bytes in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
