import CausewayCore
import Logging
import Testing

@testable import CausewayDaemon

@Suite("Targets are spread over lanes")
struct LanesTests {
    private func target(_ number: Int) throws -> ISCSIName {
        try ISCSIName("iqn.2026-01.example:target\(number)")
    }

    private func lanes(_ most: Int) throws -> Lanes {
        try Lanes(most: most, settings: LaneSettings(), logger: Logger(label: "test")) { _, _ in }
    }

    @Test("each new target has a lane of its own while there may be more, then the one with the fewest")
    func spread() throws {
        let lanes = try lanes(2)
        defer { lanes.stop() }
        #expect(lanes.all.count == 1)
        let targets = try (1...4).map(target)
        var living: Set<ISCSIName> = []
        var numbers: [Int] = []
        for target in targets {
            numbers.append(lanes.lane(of: target, living: living).number)
            living.insert(target)
        }
        #expect(numbers == [0, 1, 0, 1])
        #expect(lanes.all.count == 2)
    }

    @Test("a target keeps its lane, and what has no disk any more does not count")
    func sticky() throws {
        let lanes = try lanes(4)
        defer { lanes.stop() }
        let (a, b, c) = (try target(1), try target(2), try target(3))
        #expect(lanes.lane(of: a)?.number == nil)
        #expect(lanes.lane(of: a, living: []).number == 0)
        // The first has gone: nothing is busy, and no thread is needed.
        #expect(lanes.lane(of: b, living: []).number == 0)
        #expect(lanes.lane(of: c, living: [b]).number == 1)
        #expect(lanes.lane(of: a, living: [b, c]).number == 0)
        #expect(lanes.lane(of: c)?.number == 1)
        #expect(lanes.all.count == 2)
    }
}
