import CCrypto
import CausewayCore
import Testing

@testable import CausewayDaemon

@Suite struct CHAPHashTests {
    static func secret(_ text: String) -> CHAPSecret {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        bytes.copyBytes(from: Array(text.utf8))
        return CHAPSecret(adopting: UnsafeRawBufferPointer(bytes)) { $0.deallocate() }
    }

    static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Identifier 0x61 ("a"), secret "bcdefghijklm", challenge "nopqrstuvwxyz": so the hash of the alphabet,
    /// as RFC 1321 §A.5 has it for MD5; the others by sha1sum, sha256sum and openssl dgst -sha3-256.
    @Test(arguments: [
        (CHAPAlgorithm.md5, "c3fcd3d76192e4007dfb496cca67e13b"),
        (.sha1, "32d10c7b8cf96570ca04ce37f2a19d84240d3a89"),
        (.sha256, "71c480df93d6ae2f1efad1447c66c9525e316218cf51fc8d9ed832f2daf18b73"),
        (.sha3256, "7cab2dc765e21b241dbc1c255ce620b29f527c6d5e7f5f843e56288f0d707521"),
    ])
    func `The response is the hash of identifier, secret and challenge`(
        algorithm: CHAPAlgorithm, expected: String
    ) throws {
        let response = try CHAPHash.respond(
            algorithm, 0x61, Self.secret("bcdefghijklm"), Array("nopqrstuvwxyz".utf8))
        #expect(Self.hex(response) == expected)
        #expect(response.count == algorithm.digestByteCount)
    }

    /// A library that asks for FIPS where there is no such provider gives no hash at all, as one with it
    /// gives no MD5.
    @Test func `What the library refuses is an error`() throws {
        let library = try #require(OSSL_LIB_CTX_new())
        defer { OSSL_LIB_CTX_free(library) }
        #expect(EVP_set_default_properties(library, "fips=yes") == 1)
        #expect {
            try CHAPHash.respond(.md5, 1, Self.secret("bcdefghijklm"), [1], library: library)
        } throws: { error in
            ((error as? CHAPHashError)?.reason ?? "").contains("FIPS")
        }
        #expect(try CHAPHash.respond(.md5, 1, Self.secret("bcdefghijklm"), [1]).count == 16)
    }

    @Test func `Random bytes differ`() {
        #expect(CHAPHash.functions.randomBytes(17).count == 17)
        #expect(CHAPHash.functions.randomBytes(17) != CHAPHash.functions.randomBytes(17))
    }

    @Test func `Secrets are compared whole`() throws {
        let first = Self.secret("twelve bytes")
        #expect(first.isSame(as: Self.secret("twelve bytes")))
        for other in ["twelve byteS", "Twelve bytes", "twelve bytes ", "twelve byte"] {
            #expect(!first.isSame(as: Self.secret(other)))
        }
    }
}
