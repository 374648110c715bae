import Simulation
import Testing

@Suite("Histories")
struct HistoryTests {
    @Test("twenty seeds go well")
    func twentySeeds() {
        for seed in UInt64(1)...20 {
            let verdict = History(seed: seed).run()
            #expect(verdict.failure == nil, "seed \(seed)")
        }
    }

    /// Seeds that found something in the lane once, with what it was.
    static let named: [(seed: UInt64, was: String)] = [
        (13, "a lost stand-in leaked the stream of the attempt at its own route"),
        (41, "no task was left for the barrier: the session was dropped at once, for ever"),
        (110, "nobody noted a restart that the barrier heard of"),
        (661, "unit attentions of many paths used up a READ's retries"),
        (732, "a FLUSH that failed because of a restart counted as done"),
        (841, "a forced write that waited for a task was never synchronised"),
        (2734, "a request that failed while it waited for a task was answered twice"),
        (4687, "writes that waited for a path held all memory, so that no login could be received"),
        (5320, "zeros in place of a refused WRITE SAME failed for want of a task"),
    ]

    /// The same, with daemons that follow each other.
    static let namedLives: [(seed: UInt64, was: String)] = [
        (590, "a target told of its restart by session, not by LUN"),
        (1611, "clients that waited for memory all waited for one another"),
        (1758, "a path that had owed a fence kept its disk from growing, for ever"),
        (1701, "a planned restart forgot that the target had lost acknowledged writes"),
        (2358, "LUN resets for the lane's own questions kept each other from coming to rest"),
        (1054, "time in queues counted as patience with a target that had been BUSY once"),
        (4669, "a write that a reset had taken from the task set was believed to have ended"),
        (5024, "a path that was added again while it left leaked the stream of its attempt"),
        (11918, "a target forgot a unit attention whose command somebody reset (the simulator's own fault)"),
        (7801, "a write that somebody's reset had aborted came over newer ones"),
        (752, "a probe's old report of access states stood for a minute after a newer one"),
    ]

    @Test("seeds that found a bug find it no more", arguments: named)
    func namedSeeds(_ seed: (seed: UInt64, was: String)) {
        #expect(History(seed: seed.seed, hasLives: false).run().failure == nil, "once: \(seed.was)")
    }

    @Test("seeds with successors that found a bug find it no more", arguments: namedLives)
    func seedsWithSuccessors(_ seed: (seed: UInt64, was: String)) {
        #expect(History(seed: seed.seed).run().failure == nil, "once: \(seed.was)")
    }

    /// The same, with paths that are connections of one session.
    static let namedConnections: [(seed: UInt64, was: String)] = [
        (106, "a probe behind a logout left a gap in the numbers of all connections"),
        (168, "a path that had been disabled while it led the login was not taken into use again"),
        (172, "a LUN's news that a lost connection took away was told nobody"),
        (646, "questions under way on other connections outlived the news that the LUN is another"),
        (1188, "a FLUSH from before a write promised what was told to be lost (the oracle's own fault)"),
        (1848, "news told on a connection that had shown nothing did not reach those that carried I/O"),
        (1897, "a command that waited for its turn was discarded by a logout, and its number stayed a gap"),
        (34907, "ABORT TASK did not find a command that waited for its turn: its answer ended the session"),
        (
            2729,
            "a barrier that another LUN had answered, for its number was another's for a moment, was a fence"
        ),
    ]

    @Test("seeds with connections that found a bug find it no more", arguments: namedConnections)
    func seedsWithConnections(_ seed: (seed: UInt64, was: String)) {
        let verdict = History(seed: seed.seed, multipathing: .connections).run()
        #expect(verdict.failure == nil, "once: \(seed.was)")
    }

    @Test("without any one of the safeguards the oracle finds the ghost", arguments: Safeguard.allCases)
    func canary(_ safeguard: Safeguard) {
        #expect(
            (UInt64(1)...200).contains {
                History(seed: $0, without: safeguard).run().failure?.contains("returned write") == true
            })
    }

    @Test("every kind of fault strikes in some history")
    func everyFault() {
        var strikes = Array(repeating: 0, count: Swarm.Fault.allCases.count)
        for seed in UInt64(1)...200 {
            for (fault, count) in History(seed: seed).run().strikes.enumerated() { strikes[fault] += count }
        }
        for fault in Swarm.Fault.allCases { #expect(strikes[fault.rawValue] > 0, "\(fault) never strikes") }
    }

    @Test("a seed is one history")
    func sameSeed() {
        for seed in UInt64(1)...5 {
            #expect(History(seed: seed).run().hash == History(seed: seed, isTracing: true).run().hash)
        }
    }
}
