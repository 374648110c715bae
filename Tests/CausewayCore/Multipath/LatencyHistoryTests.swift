import Testing

@testable import CausewayCore

@Suite("The history of a path's answers")
struct LatencyHistoryTests {
    private func history(_ times: [(nanoseconds: UInt64, count: Int)], row: Int = 0) -> LatencyHistory {
        var history = LatencyHistory()
        for (nanoseconds, count) in times {
            for _ in 0..<count { history.note(nanoseconds, row: row) }
        }
        return history
    }

    @Test("says nothing before it knows something")
    func empty() {
        #expect(LatencyHistory().bound(row: 0, oneOf: 512) == nil)
        #expect(history([(1_000_000, 7)]).bound(row: 0, oneOf: 512) == nil)
        #expect(history([(1_000_000, 99)]).percentile99 == nil)
    }

    @Test("bounds what is usual", arguments: [20_000, 1_000_000, 500_000_000, 60_000_000_000] as [UInt64])
    func usual(_ nanoseconds: UInt64) throws {
        let bound = try #require(history([(nanoseconds, 100)]).bound(row: 0, oneOf: 512))
        #expect(bound >= nanoseconds && bound <= 2 * nanoseconds)
    }

    @Test("knows a slow answer among few, and not one among thousands")
    func outliers() throws {
        let few = try #require(history([(1_000_000, 100), (500_000_000, 1)]).bound(row: 0, oneOf: 512))
        #expect(few >= 500_000_000)
        let many = try #require(history([(1_000_000, 2000), (500_000_000, 1)]).bound(row: 0, oneOf: 512))
        #expect(many < 3_000_000)
    }

    @Test("keeps small reads and large writes apart")
    func rows() {
        #expect(TaskKind.read.historyRow(byteCount: 4096) == 0)
        #expect(TaskKind.read.historyRow(byteCount: 65537) == 1)
        #expect(TaskKind.write.historyRow(byteCount: 65536) == 2)
        #expect(TaskKind.write.historyRow(byteCount: 1 << 20) == 3)
        #expect(TaskKind.synchronizeCache.historyRow(byteCount: 0) == 4)
        let history = history([(500_000_000, 100)], row: 3)
        #expect(history.bound(row: 0, oneOf: 512) == nil)
        #expect(history.bound(row: 3, oneOf: 512) != nil)
    }

    @Test("forgets")
    func forgetting() throws {
        var history = history([(500_000_000, 1), (1_000_000, 100)])
        history.age()
        #expect(try #require(history.bound(row: 0, oneOf: 512)) < 3_000_000)
        // A count at its limit does not stop, nor drown the others at once.
        for _ in 0..<100_000 { history.note(1_000_000, row: 0) }
        #expect(try #require(history.bound(row: 0, oneOf: 512)) < 3_000_000)
        #expect(try #require(history.percentile99) < 3_000_000)
    }

    @Test("takes any time")
    func extremes() {
        var history = LatencyHistory()
        for time in [0, 1, .max] as [UInt64] {
            for row in 0..<LatencyHistory.rowCount { history.note(time, row: row) }
        }
        #expect(history.bound(row: 4, oneOf: 512) == nil)
    }
}
