@testable import CausewayCore

/// Bytes as a test writes them by hand, and a way to look at what was written through a raw pointer.
enum NBDBytes {
    /// Hexadecimal digits with any spacing; `'text'` stands for its characters.
    static func parse(_ lines: String...) -> [UInt8] {
        var bytes: [UInt8] = []
        for line in lines {
            for (index, part) in line.split(separator: "'", omittingEmptySubsequences: false).enumerated() {
                if index % 2 == 1 {
                    bytes += Array(part.utf8)
                } else {
                    let digits = Array(part.filter { !$0.isWhitespace })
                    for pair in stride(from: 0, to: digits.count, by: 2) {
                        guard let byte = UInt8(String(digits[pair..<pair + 2]), radix: 16) else {
                            fatalError("not hexadecimal: \(part)")
                        }
                        bytes.append(byte)
                    }
                }
            }
        }
        return bytes
    }

    /// The bytes that `write` wrote at an odd address, and nothing but them: it returns their number.
    static func written(_ write: (UnsafeMutableRawPointer) -> Int) -> [UInt8] {
        let room = 1024
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 8)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0xa5)
        guard let start = memory.baseAddress else { return [] }
        let count = write(start + 1)
        guard memory[(count + 1)...].allSatisfy({ $0 == 0xa5 }) else { return [] }
        return Array(memory[1...count])
    }

    static func request(_ bytes: [UInt8]) -> NBDRequest {
        // An odd address, as a request in the middle of a receive buffer may have.
        ([0] + bytes).withUnsafeBytes { buffer in
            guard let start = buffer.baseAddress else { fatalError("no bytes") }
            return NBDRequest(copyingFrom: start + 1)
        }
    }

    /// The eight bytes of a cookie as `NBDRequest.cookie` keeps them.
    static func cookie(_ bytes: [UInt8]) -> UInt64 {
        bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }
}

/// SplitMix64: the same numbers on every machine for one seed.
struct NBDSeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
