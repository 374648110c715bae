import Testing

@testable import CausewayDaemon

@Suite struct NetworkAdviceTests {
    private func warnings(_ interfaces: [String], _ settings: [String: Int]) -> [String] {
        NetworkAdvice.warnings(sharing: interfaces) { settings["\($0).\($1)"] }
    }

    @Test func oneInterfaceHasNoTrouble() {
        #expect(warnings(["eth1"], ["all.rp_filter": 1]) == [])
        #expect(warnings([], [:]) == [])
    }

    @Test func theStrongerSettingIsInForce() {
        let good = ["all.arp_ignore": 1, "all.arp_announce": 2]
        #expect(warnings(["eth1", "eth2"], good) == [])
        #expect(warnings(["eth1", "eth2"], good.merging(["eth1.rp_filter": 1]) { $1 }).count == 1)
        #expect(
            warnings(["eth1", "eth2"], good.merging(["all.rp_filter": 2, "eth1.rp_filter": 1]) { $1 }) == [])
        let strict = warnings(["eth1", "eth2"], good.merging(["all.rp_filter": 1]) { $1 })
        #expect(strict.count == 2)
        #expect(strict[1].contains("net.ipv4.conf.eth2.rp_filter=2"))
    }

    @Test func whoAnswersForOthers() {
        let answers = warnings(["eth1", "eth2"], ["eth2.arp_ignore": 2, "all.arp_announce": 2])
        #expect(answers.count == 1)
        #expect(answers.first?.contains("net.ipv4.conf.eth1.arp_ignore=1") == true)
    }

    @Test func whoAsksWithAnothersAddress() {
        let answers = warnings(
            ["eth1", "eth2"], ["all.arp_ignore": 1, "eth1.arp_announce": 2, "eth2.arp_announce": 1])
        #expect(answers.count == 1)
        #expect(answers.first?.contains("net.ipv4.conf.eth2.arp_announce=2") == true)
    }
}
