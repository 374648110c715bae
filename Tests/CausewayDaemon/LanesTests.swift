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

    private func number(_ lanes: Lanes, _ target: ISCSIName, _ living: Set<ISCSIName>) -> Int? {
        lanes.lanes(of: target, queues: 1, living: living)?.first?.number
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
            numbers.append(try #require(number(lanes, target, living)))
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
        #expect(number(lanes, a, []) == 0)
        // The first has gone: nothing is busy, and no thread is needed.
        #expect(number(lanes, b, []) == 0)
        #expect(number(lanes, c, [b]) == 1)
        #expect(number(lanes, a, [b, c]) == 0)
        #expect(number(lanes, c, []) == 1)
        #expect(lanes.all.count == 2)
    }

    @Test("the queues of a target's disks are on different lanes, the same ones for all of its disks")
    func queues() throws {
        let lanes = try lanes(3)
        defer { lanes.stop() }
        let (a, b) = (try target(1), try target(2))
        func numbers(_ target: ISCSIName, _ queues: Int, _ living: Set<ISCSIName>) -> [Int]? {
            lanes.lanes(of: target, queues: queues, living: living)?.map(\.number)
        }
        #expect(numbers(a, 2, []) == [0, 1])
        #expect(numbers(a, 1, [a]) == [0])
        // The third lane is idle, and then comes the one with the fewest queues.
        #expect(numbers(b, 1, [a]) == [2])
        #expect(numbers(b, 2, [a, b]) == [2, 0])
        #expect(numbers(a, 3, [a, b]) == [0, 1, 2])
        #expect(lanes.all.count == 3)
    }

    @Test("more queues than lanes are refused, but for a disk that is there already")
    func tooManyQueues() throws {
        let lanes = try lanes(2)
        defer { lanes.stop() }
        let target = try target(1)
        #expect(lanes.lanes(of: target, queues: 3, living: []) == nil)
        #expect(lanes.all.count <= 2)
        let found = lanes.lanes(of: target, queues: 3, living: [], mayExceed: true)
        #expect(found?.map(\.number) == [0, 1, 2])
    }
}
