import Glibc
import Testing

@testable import LinuxSystem

@Suite struct SocketAddressTests {
    @Test(arguments: [
        ("10.0.0.1", "10.0.0.1:3260"),
        ("10.0.0.1:860", "10.0.0.1:860"),
        ("255.255.255.255:65535", "255.255.255.255:65535"),
        ("[::1]", "[::1]:3260"),
        ("[::1]:860", "[::1]:860"),
        ("::1", "[::1]:3260"),
        ("2001:DB8:0:0::7", "[2001:db8::7]:3260"),
        ("fe80::1%lo", "[fe80::1%lo]:3260"),
        ("[fe80::1%999999]:1", "[fe80::1%999999]:1"),
    ])
    func readsNumericAddresses(text: String, printed: String) throws {
        let address = try #require(SocketAddress(parsing: text, defaultPort: 3260))
        #expect(address.description == printed)
        #expect(SocketAddress(parsing: printed, defaultPort: 1) == address)
        // What the kernel is told is what it tells us.
        #expect(SocketAddress(kernelForm: address.kernelForm.storage) == address)
    }

    @Test(arguments: [
        "", "host", "10.0.0", "10.0.0.256", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:+1",
        "10.0.0.1: 1",
        "[10.0.0.1]:1", "[::1", "[::1]x", "[::1]3260", "[]:1", "::1%", "10.0.0.1%lo",
        "fe80::1%no-such-interface",
        "10.0.0.1\u{0}x", "[::1]:3260:1", ":3260", "10.0.0.1:٣",
    ])
    func refusesEverythingElse(text: String) {
        #expect(SocketAddress(parsing: text, defaultPort: 3260) == nil)
    }

    @Test func bytesAreWhereTheKernelLooks() throws {
        let v4 = try #require(SocketAddress(parsing: "10.1.2.3:3260", defaultPort: 0)).kernelForm
        #expect(v4.length == 16)
        withUnsafeBytes(of: v4.storage) {
            // sin_family (host order), sin_port, sin_addr
            #expect(Array($0[0..<8]) == [UInt8(AF_INET), 0, 0x0c, 0xbc, 10, 1, 2, 3])
        }
        let v6 = SocketAddress(
            IPAddress(v6High: 0xfe80_0000_0000_0000, low: 0x0102_0304_0506_0708, scope: 5), port: 860
        ).kernelForm
        #expect(v6.length == 28)
        withUnsafeBytes(of: v6.storage) {
            // sin6_family (host order), sin6_port, sin6_flowinfo
            #expect(Array($0[0..<8]) == [UInt8(AF_INET6), 0, 0x03, 0x5c, 0, 0, 0, 0])
            // sin6_addr
            #expect(Array($0[8..<24]) == [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
            // sin6_scope_id (host order)
            #expect(Array($0[24..<28]) == [5, 0, 0, 0])
        }
    }

    @Test func knowsTheKindsOfAddress() throws {
        func ip(_ text: String) throws -> IPAddress { try #require(IPAddress(parsing: text)) }
        #expect(try ip("169.254.9.9").isLinkLocal)
        #expect(try ip("febf::1").isLinkLocal)
        #expect(try !ip("fec0::1").isLinkLocal)
        #expect(try ip("127.9.9.9").isLoopback && ip("::1").isLoopback)
        #expect(try ip("0.0.0.0").isUnspecified && ip("::").isUnspecified)
        #expect(try ip("10.0.1.1").hasSamePrefix(as: ip("10.0.0.9"), length: 23))
        #expect(try !ip("10.0.1.1").hasSamePrefix(as: ip("10.0.0.9"), length: 24))
        #expect(try ip("10.0.1.1").hasSamePrefix(as: ip("192.168.0.9"), length: 0))
        #expect(try ip("2001:db8::1").hasSamePrefix(as: ip("2001:db8::2"), length: 64))
        #expect(try ip("2001:db8::1").hasSamePrefix(as: ip("2001:db8::2"), length: 126))
        #expect(try !ip("2001:db8::1").hasSamePrefix(as: ip("2001:db8::2"), length: 127))
        #expect(try !ip("::").hasSamePrefix(as: ip("0.0.0.0"), length: 0))
    }
}
