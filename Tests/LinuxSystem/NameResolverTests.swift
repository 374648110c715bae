import Testing

@testable import LinuxSystem

@Suite struct NameResolverTests {
    @Test func numbersNeedNoResolver() throws {
        #expect(
            try NameResolver.resolve("10.0.0.1", defaultPort: 3260).map(\.description) == ["10.0.0.1:3260"])
        #expect(try NameResolver.resolve("[::1]:860", defaultPort: 3260).map(\.description) == ["[::1]:860"])
    }

    @Test func localhostIsHere() throws {
        for (text, port) in [("localhost", 3260), ("localhost:860", 860)] as [(String, UInt16)] {
            let addresses = try NameResolver.resolve(text, defaultPort: 3260)
            #expect(!addresses.isEmpty)
            #expect(addresses.allSatisfy { $0.address.isLoopback && $0.port == port })
            #expect(Set(addresses).count == addresses.count)
        }
    }

    @Test(arguments: [
        "", ":3260", "host:", "host:0", "host:x", "ho st", "host/1", "a\u{0}b", "[::1", "::1::", "höst",
        String(repeating: "x", count: 254),
    ])
    func refusesWhatIsNoName(text: String) {
        let error = #expect(throws: NameError.self) { try NameResolver.resolve(text, defaultPort: 3260) }
        #expect(error?.isTemporary == false)
        #expect(error?.name == text)
    }
}
