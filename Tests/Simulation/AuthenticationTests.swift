import Simulation
import Testing

/// CHAP on the lane: the simulated target holds every response against the secret.
@Suite("CHAP in the simulator")
struct SimulatedAuthenticationTests {
    static let second: UInt64 = 1_000_000_000

    @Test("paths come up, and again after a loss", arguments: SimulatedCHAP.allCases, [false, true])
    func pathsComeUp(chap: SimulatedCHAP, mistakesAlgorithms: Bool) {
        var options = WorldOptions()
        options.target.chap = chap
        options.target.mistakesAlgorithms = mistakesAlgorithms
        options.isTracing = true
        let world = World(options)
        world.attach()
        let came = world.run(limit: 5 * Self.second) { world.isReady && world.pathsUp == 2 }
        #expect(came)
        let began = world.elapsed
        world.cut(path: 0)
        let lost = world.run(limit: 5 * Self.second) { world.pathsUp == 1 }
        let back = world.run(limit: 20 * Self.second) { world.pathsUp == 2 }
        #expect(lost && back)
        #expect(world.failure == nil)
        let tries = world.chronicle.lines.filter { $0.contains("trying once more with MD5 alone") }.count
        // Known after the first of them; both paths log in at the same time.
        #expect(mistakesAlgorithms && chap != .none ? (1...2).contains(tries) : tries == 0)
        // The first tries take no delay of a failure, and wake no one with it.
        #expect(began < Self.second)
        #expect(world.problems.isEmpty)
    }

    @Test("a hundred histories, every one with CHAP and every other with a target that mistakes")
    func histories() {
        for seed in UInt64(20_001)...20_100 {
            let verdict = History(seed: seed, chap: seed % 3 == 0 ? .oneWay : .mutual).run()
            #expect(verdict.failure == nil, "seed \(seed)")
        }
    }
}
