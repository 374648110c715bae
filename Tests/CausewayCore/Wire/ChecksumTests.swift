import Testing

@testable import CausewayCore

@Suite("CRC32C")
struct ChecksumTests {
    static func digest(_ bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBytes { bytes in
            bytes.baseAddress.map { CRC32C.portable(0, $0, bytes.count) } ?? 0
        }
    }

    @Test("as RFC 3720 B.4 prints it, and the usual check value")
    func examples() {
        // The RFC prints the bytes in the order in which they travel: aa 36 91 8a and so on.
        #expect(Self.digest([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
        #expect(Self.digest([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
        #expect(Self.digest(Array(0..<32)) == 0x46dd_794e)
        #expect(Self.digest(Array((0..<32).reversed())) == 0x113f_db5c)
        #expect(Self.digest(Array("123456789".utf8)) == 0xe306_9283)
        #expect(Self.digest([]) == 0)
    }

    @Test("goes on where it stopped, at every length")
    func pieces() {
        let bytes = (0..<100).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
        for count in 0...bytes.count {
            let whole = Self.digest(Array(bytes[..<count]))
            for cut in 0...count {
                let joined = bytes.withUnsafeBytes { bytes in
                    guard let base = bytes.baseAddress else { return UInt32(0) }
                    return CRC32C.portable(CRC32C.portable(0, base, cut), base + cut, count - cut)
                }
                #expect(joined == whole)
            }
        }
    }
}
