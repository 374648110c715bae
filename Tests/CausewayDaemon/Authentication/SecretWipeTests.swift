import CausewayConfiguration
import CausewayCore
import Glibc
import LinuxSystem
import Testing

@testable import CausewayDaemon

/// A secret leaves nothing behind in the memory of the process once it was used.
@Suite struct SecretWipeTests {
    /// What is written to the file is `masked` with this over it, so that the test itself holds no copy.
    private static let mask: UInt8 = 0x80

    /// 32 letters of which no other text in memory is made, masked.
    private static func drawn() -> [UInt8] {
        (0..<32).map { _ in UInt8.random(in: UInt8(ascii: "a")...UInt8(ascii: "z")) | mask }
    }

    private static func write(_ masked: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        for byte in masked {
            var letter = byte & ~mask
            #expect(Glibc.write(descriptor, &letter, 1) == 1)
        }
    }

    /// How often the secret is in the writable memory of this process.
    private static func count(_ masked: [UInt8]) throws -> Int {
        let maps = try SmallFile.read("/proc/self/maps", limit: 64 << 20)
        let memory = open("/proc/self/mem", O_RDONLY)
        try #require(memory >= 0)
        defer { close(memory) }
        let piece = 1 << 20
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: piece, alignment: 16)
        defer { buffer.deallocate() }
        let own = UInt(bitPattern: buffer.baseAddress)
        var found = 0
        for line in maps.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 2)
            let ends = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            // The shadow of a sanitizer is larger than any memory.
            guard words[1].hasPrefix("rw"), ends.count == 2, ends[1] - ends[0] < 1 << 32 else { continue }
            var at = ends[0]
            while at < ends[1] {
                let wanted = min(piece, Int(ends[1] - at))
                let got = pread(memory, buffer.baseAddress, wanted, off_t(at))
                guard got > 0 else { break }
                for offset in places(of: masked, in: UnsafeRawBufferPointer(rebasing: buffer[..<got])) {
                    let address = at + UInt(offset)
                    // Not what was just read.
                    if !(own..<own + UInt(piece)).contains(address) { found += 1 }
                }
                buffer.initializeMemory(as: UInt8.self, repeating: 0)
                guard got == wanted else { break }
                // What lies across two pieces is found in the second.
                at += UInt(at + UInt(got) < ends[1] ? got - masked.count : got)
            }
        }
        return found
    }

    private static func places(of masked: [UInt8], in bytes: UnsafeRawBufferPointer) -> [Int] {
        guard let base = bytes.baseAddress else { return [] }
        var places: [Int] = []
        var at = 0
        while at + masked.count <= bytes.count,
            let first = memchr(base + at, Int32(masked[0] & ~mask), bytes.count - masked.count - at + 1)
        {
            let place = UnsafeRawPointer(first) - base
            if masked.indices.allSatisfy({ bytes[place + $0] | mask == masked[$0] }) { places.append(place) }
            at = place + 1
        }
        return places
    }

    @Test func nothingIsLeftOfASecretThatWasUsed() throws {
        let masked = Self.drawn()
        let path = "/tmp/causeway-wiped-secret.\(getpid())"
        defer { unlink(path) }
        try Self.write(masked, to: path)
        do {
            let secret = try SecretFile.read(.file(path), owner: geteuid())
            for algorithm in CHAPAlgorithm.strongestFirst {
                // A library under FIPS rules has no MD5.
                _ = try? CHAPHash.functions.hash(algorithm, 7, secret, [1, 2, 3])
            }
            #expect(secret.isSame(as: try SecretFile.read(.file(path), owner: geteuid())))
            // Found where it is kept, and nowhere else.
            #expect(try Self.count(masked) == 1)
            withExtendedLifetime(secret) {}
        }
        #expect(try Self.count(masked) == 0)
    }

    @Test func nothingIsLeftOfASecretThatIsRefused() throws {
        let masked = Self.drawn()
        let path = "/tmp/causeway-refused-secret.\(getpid())"
        defer { unlink(path) }
        try Self.write(masked + [UInt8(ascii: "\n") | Self.mask, 0x61], to: path)
        #expect(throws: SecretError.self) { try SecretFile.read(.file(path), owner: geteuid()) }
        #expect(try Self.count(masked) == 0)
    }
}
