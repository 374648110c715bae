import CausewayControl
import Testing

@Suite struct PortalAddressTests {
    @Test(arguments: [
        ("10.0.0.1", "10.0.0.1", 3260, "10.0.0.1:3260"),
        ("10.0.0.1:860", "10.0.0.1", 860, "10.0.0.1:860"),
        ("array.example", "array.example", 3260, "array.example:3260"),
        ("array.example:65535", "array.example", 65535, "array.example:65535"),
        ("2001:db8::1", "2001:db8::1", 3260, "[2001:db8::1]:3260"),
        ("[2001:db8::1]", "2001:db8::1", 3260, "[2001:db8::1]:3260"),
        ("[fe80::1%eth1]:3261", "fe80::1%eth1", 3261, "[fe80::1%eth1]:3261"),
    ])
    func parsesWhatPeopleWrite(text: String, host: String, port: Int, description: String) throws {
        let portal = try PortalAddress(parsing: text)
        #expect(portal.host == host)
        #expect(Int(portal.port) == port)
        #expect(portal.description == description)
        #expect(try PortalAddress(parsing: description) == portal)
    }

    @Test(arguments: [
        "", ":", ":3260", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:+1", "10.0.0.1:-1",
        "10.0.0.1:x",
        "[10.0.0.1]", "[2001:db8::1", "[2001:db8::1]3260", "[2001:db8::1]:", "[]", "a b", "a\nb", "a/b",
        "a,1",
        String(repeating: "a", count: 254), "\u{e9}",
    ])
    func refusesTheRest(text: String) {
        #expect {
            try PortalAddress(parsing: text)
        } throws: {
            ($0 as? ControlError)?.kind == .invalidArgument
        }
    }
}
