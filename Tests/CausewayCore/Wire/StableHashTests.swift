import Testing

@testable import CausewayCore

/// The values of the reference implementation (Appendix A of the SipHash paper, and its published vectors):
/// key 00 01 … 0f, message 00 01 … n-1.
@Suite struct StableHashTests {
    static let key0: UInt64 = 0x0706_0504_0302_0100
    static let key1: UInt64 = 0x0f0e_0d0c_0b0a_0908

    @Test(
        arguments: [
            (0, 0x726f_db47_dd0e_0e31),
            (1, 0x74f8_39c5_93dc_67fd),
            (2, 0x0d6c_8009_d9a9_4f5a),
            (7, 0xab02_00f5_8b01_d137),
            (8, 0x93f5_f579_9a93_2462),
            (15, 0xa129_ca61_49be_45e5),
        ] as [(Int, UInt64)])
    func referenceVectors(byteCount: Int, expected: UInt64) {
        var hash = StableHash(key0: Self.key0, key1: Self.key1)
        for byte in 0..<byteCount { hash.append(byte: UInt8(byte)) }
        #expect(hash.value() == expected)
    }

    @Test func aNumberIsItsBytesLowestFirst() {
        var hash = StableHash(key0: Self.key0, key1: Self.key1)
        hash.append(UInt64(0x0706_0504_0302_0100))
        #expect(hash.value() == 0x93f5_f579_9a93_2462)
    }

    @Test func theBordersOfStringsCount() {
        func hash(_ parts: String...) -> UInt64 {
            var hash = StableHash()
            for part in parts { hash.append(part) }
            return hash.value()
        }
        #expect(hash("ab", "c") != hash("a", "bc"))
        #expect(hash("ab", "c") != hash("abc"))
        #expect(hash("", "a") != hash("a", ""))
        #expect(hash("eth1", "10.0.0.1:3260") == hash("eth1", "10.0.0.1:3260"))
    }

    @Test func readingTheValueDoesNotEndTheHash() {
        var once = StableHash()
        once.append("eth1")
        _ = once.value()
        once.append("eth2")
        var twice = StableHash()
        twice.append("eth1")
        twice.append("eth2")
        #expect(once.value() == twice.value())
    }

    /// Session identifiers of installed systems depend on this very value.
    @Test func theValueNeverChanges() {
        var hash = StableHash()
        hash.append("0123456789abcdef0123456789abcdef")
        hash.append(4_026_531_840)
        hash.append("eth1")
        hash.append("10.0.0.1:3260")
        hash.append(0)
        #expect(hash.value() == 0xab21_2c28_a5c0_d79b)
    }
}
