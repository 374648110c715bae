import Testing

@testable import CausewayCore

@Suite struct SendTargetsTests {
    @Test(arguments: [
        ("10.0.0.1:5003,1", "10.0.0.1", UInt16(5003), UInt16(1)), ("10.0.0.1,65", "10.0.0.1", 3260, 65),
        ("[1080:0:0:0:8:800:200C:417A],65", "1080:0:0:0:8:800:200C:417A", 3260, 65),
        ("[1080::8:800:200C:417A]:5003,0x10", "1080::8:800:200C:417A", 5003, 16),
        ("computingcenter.example.com,23", "computingcenter.example.com", 3260, 23),
        ("[fe80::1%eth0]:3260,1", "fe80::1%eth0", 3260, 1), ("fe80::1,0", "fe80::1", 3260, 0),
        ("10.0.0.1:860", "10.0.0.1", 860, 1),
    ])
    func addresses(text: String, host: String, port: UInt16, tag: UInt16) throws {
        let portal = try #require(DiscoveredPortal(text))
        #expect(portal.host == host && portal.port == port && portal.groupTag == tag)
    }

    @Test(arguments: [
        "", ",1", ":3260,1", "host:,1", "host:0,1", "host:65536,1", "host:99999999999,1", "host:1x,1",
        "ho st,1",
        "host,65536", "host,", "host,1,2", "[::1,1", "[]:3260,1", "[host]:3260,1", "[::1]x,1", "[::1]3260,1",
        "host\u{1b}[2J,1", "h/../etc,1", "fe80::%,1", "::g,1", "host:+1,1",
    ])
    func badAddresses(_ text: String) {
        #expect(DiscoveredPortal(text) == nil)
    }

    @Test func longHost() {
        #expect(PortalAddress(String(repeating: "a", count: 255)) != nil)
        #expect(PortalAddress(String(repeating: "a", count: 256)) == nil)
        #expect(PortalAddress(host: "::1").description == "[::1]:3260")
        #expect(PortalAddress(host: "a", port: 1).description == "a:1")
    }

    /// The examples of RFC 7143 Appendix C.
    @Test func appendixC() throws {
        let text = """
            TargetName=iqn.1993-11.com.example:diskarray.sn.8675309\0\
            TargetAddress=10.1.0.45:3000,1\0TargetAddress=10.1.1.45:3000,2\0\
            TargetName=iqn.1993-11.com.example:diskarray.sn.1234567\0\
            TargetAddress=10.1.0.45:3000,1\0TargetAddress=10.1.1.45:3000,2\0\
            TargetName=iqn.1993-11.com.example:none\0
            """
        let response = try SendTargetsResponse(Array(text.utf8))
        #expect(response.targets.count == 3 && response.unreadable.isEmpty)
        #expect(response.targets[0].portals.map(\.description) == ["10.1.0.45:3000,1", "10.1.1.45:3000,2"])
        #expect(response.targets[2].portals.isEmpty)
        #expect(try SendTargetsResponse([]).targets.isEmpty)
    }

    @Test func repeatsAreMergedAndBadEntriesDoNotHideGoodOnes() throws {
        let text = """
            TargetName=iqn.a:1\0TargetAddress=h,1\0TargetAddress=h,1\0TargetName=bad name\0\
            TargetAddress=x,1\0TargetName=IQN.a:1\0TargetAddress=i,1\0TargetAddress=\u{1b},1\0X-odd=1\0
            """
        let response = try SendTargetsResponse(Array(text.utf8))
        #expect(response.targets.count == 1)
        #expect(response.targets[0].portals.map(\.host) == ["h", "i"])
        #expect(response.unreadable == ["TargetName=bad name", "TargetAddress=\\u{1b},1", "X-odd=1"])
    }

    @Test func refusals() {
        func error(_ text: String) -> SendTargetsError? {
            do throws(SendTargetsError) { _ = try SendTargetsResponse(Array(text.utf8)) } catch {
                return error
            }
            return nil
        }
        #expect(error("TargetAddress=h,1\0") == .addressBeforeName)
        #expect(error("SendTargets=Reject\0") == .refused("Reject"))
        #expect(error("TargetName=iqn.a") == .malformedText(.unterminated(offset: 0)))
        let ports = (1...1025).map { "TargetAddress=h:\($0),1\0" }.joined()
        #expect(error("TargetName=iqn.a\0" + ports) == .tooManyPortals(1024))
        #expect(error(String(repeating: "X=1\0", count: 1025)) == .tooMuchUnreadable)
    }
}
