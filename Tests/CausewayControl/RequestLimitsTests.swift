import CausewayControl
import Testing

@Suite struct RequestLimitsTests {
    private func refusal(_ change: (inout AttachRequest) -> Void) -> ControlError.Kind? {
        var request = Samples.attach
        request.discovery = nil
        change(&request)
        do throws(ControlError) {
            try request.validate()
            return nil
        } catch {
            return error.kind
        }
    }

    @Test func takesWhatMakesSense() {
        #expect(refusal { _ in } == nil)
        #expect(refusal { $0.interfaces = [] } == nil)
        #expect(refusal { $0.target = String(repeating: "a", count: 223) } == nil)
        #expect(refusal { $0.socket = nil } == nil)
    }

    @Test func refusesPortals() {
        #expect(refusal { $0.portals = [] } == .invalidArgument)
        #expect(refusal { $0.portals.append($0.portals[0]) } == .invalidArgument)
        #expect(
            refusal { $0.portals = (1...65).map { PortalAddress(host: "10.0.0.1", port: $0) } }
                == .invalidArgument)
    }

    @Test(arguments: ["", ".", "..", "a/b", "eth0:1", "eth 0", "\u{1b}", "sixteen-bytes-xx"])
    func refusesInterfaceNamesThatLinuxCannotHave(name: String) {
        #expect(refusal { $0.interfaces = [name] } == .noSuchInterface)
    }

    @Test func refusesInterfaces() {
        #expect(refusal { $0.interfaces = ["eth1", "eth1"] } == .invalidArgument)
        #expect(refusal { $0.interfaces = (0...64).map { "eth\($0)" } } == .invalidArgument)
    }

    @Test func refusesTargets() {
        #expect(refusal { $0.target = "" } == .invalidArgument)
        #expect(refusal { $0.target = "iqn a" } == .invalidArgument)
        #expect(refusal { $0.target = String(repeating: "a", count: 224) } == .invalidArgument)
    }

    @Test func refusesSockets() {
        #expect(refusal { $0.socket = "disk.sock" } == .invalidArgument)
        #expect(refusal { $0.socket = "" } == .invalidArgument)
        #expect(refusal { $0.socket = "/a\0b" } == .invalidArgument)
        #expect(refusal { $0.socket = "/" + String(repeating: "a", count: 107) } == .invalidArgument)
        #expect(refusal { $0.socket = "/" + String(repeating: "a", count: 106) } == nil)
    }

    @Test func refusesSettings() {
        let long = String(repeating: "x", count: RequestLimits.settingBytesMax + 1)
        let many = Dictionary(uniqueKeysWithValues: (0...RequestLimits.settingsMax).map { ("k\($0)", "v") })
        for settings in [[:], [long: "v"], ["k": long], many] {
            #expect(throws: ControlError.self) {
                try SetRequest(name: Samples.name(), settings: settings).validate()
            }
        }
        #expect(throws: Never.self) {
            try SetRequest(name: Samples.name(), settings: ["k": "v"]).validate()
        }
    }

    @Test func refusesQueueDepths() {
        #expect(refusal { $0.queueDepth = 0 } == .invalidArgument)
        #expect(refusal { $0.queueDepth = 1025 } == .invalidArgument)
        #expect(refusal { $0.queues = 0 } == .invalidArgument)
        #expect(refusal { $0.queues = 17 } == .invalidArgument)
        #expect(refusal { $0.queues = 16 } == nil)
    }
}
