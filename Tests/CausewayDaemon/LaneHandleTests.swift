import CausewayCore
import Glibc
import Synchronization
import Testing

@testable import CausewayDaemon

@Suite struct LaneHandleTests {
    @Test func whatIsNotDoneInTimeIsNotDoneLater() throws {
        let lane = try LaneHandle(number: 0, settings: LaneSettings()) { _ in }
        defer { lane.stop() }
        #expect(lane.ask { _ in 7 } == 7)
        let count = Counter()
        lane.perform { _ in usleep(300_000) }
        let answer = lane.ask(milliseconds: 50) { _ in
            count.add()
            return true
        }
        #expect(answer == nil)
        // Behind it in the same queue.
        #expect(lane.ask { _ in true } == true)
        #expect(count.value == 0)
        // What has begun in time is waited for.
        #expect(
            lane.ask(milliseconds: 100) { _ in
                usleep(400_000)
                return true
            } == true)
    }

    private final class Counter: Sendable {
        private let count = Atomic<Int>(0)
        var value: Int { count.load(ordering: .acquiring) }
        func add() { count.add(1, ordering: .releasing) }
    }
}
