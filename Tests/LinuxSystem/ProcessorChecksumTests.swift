import CausewayCore
import LinuxSystem
import Testing

@Suite struct ProcessorChecksumTests {
    /// Lengths around the places where one way of computing ends and the next begins.
    static let lengths =
        Array(0...70) + [
            255, 256, 257, 767, 768, 769, 775, 1536, 4096, 6143, 6144, 6145, 6912, 12_289, 65_537,
        ]

    @Test func `The processor's instruction agrees with the table at every length and alignment`() throws {
        guard let instruction = ProcessorChecksum.instruction else {
            // Nothing to compare: the table is what is used.
            #expect(ProcessorChecksum.fastest(0, "123456789", 9) == 0xe306_9283)
            return
        }
        var state: UInt64 = 88_172_645_463_325_252
        let bytes = (0..<70_000).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return UInt8(truncatingIfNeeded: state)
        }
        bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            for length in Self.lengths {
                for offset in 0..<9 {
                    for before: UInt32 in [0, 0xdead_beef] {
                        #expect(
                            instruction(before, base + offset, length)
                                == CRC32C.portable(before, base + offset, length),
                            "\(length) bytes at \(offset)")
                    }
                }
            }
        }
    }
}
