import CausewayCore
import LinuxSystem
import Synchronization

/// One queue of a disk, in the lane that serves it: a disk of one queue has one.
final class DiskShard: Sendable {
    /// Among the disk's queues.
    let index: Int
    let lane: LaneHandle
    /// What the lane said of it first: ready, or why not.
    let outcome = Promise<Result<DiskDescription, AttachedDisk.AttachFailure>>()
    let detached = Promise<DetachOutcome>()

    /// What changes while it lives.
    struct State {
        /// The lane's number for it; nil while the lane has not got it.
        var id: DiskID?
        var wasInLane = false
        /// The flush that a detach waits for.
        var flush: Promise<NBDError>?
        /// The kernel gave up on its socket, and it has no other yet.
        var isCutOff = false
        /// The size that its paths agree on, until the disk has it.
        var newSizeBytes: UInt64?
    }
    let state = Mutex(State())

    init(index: Int, lane: LaneHandle) {
        self.index = index
        self.lane = lane
    }

    var id: DiskID? { state.withLock { $0.id } }

    /// Asks the lane for something of the shard; nil if it does not answer, or has not got the shard.
    func ask<Answer: Sendable>(
        milliseconds: Int = 5000, _ question: @escaping @Sendable (inout LaneRunner, DiskID) -> Answer
    ) -> Answer? {
        guard let id else { return nil }
        return lane.ask(milliseconds: milliseconds) { question(&$0, id) }
    }

    /// Has the lane do something with the shard, if it has it.
    func perform(_ work: @escaping @Sendable (inout LaneRunner, DiskID) -> Void) {
        guard let id else { return }
        lane.perform { work(&$0, id) }
    }
}

/// A queue of a disk that is in a lane.
struct ServedQueue: Sendable {
    var disk: AttachedDisk
    var shard: DiskShard
}

extension ServedQueue {
    /// As its lane has them; nil if that does not answer.
    var paths: [PathSnapshot]? { (shard.ask { $0.lane.snapshot($1) } ?? nil)?.paths }
}

extension AttachedDisk {
    /// Whether every lane of its queues has it.
    var isInLanes: Bool { shards.allSatisfy { $0.id != nil } }

    /// Whether a lane has it, or a part of it.
    var isInAnyLane: Bool { shards.contains { $0.id != nil } }

    /// Its queues as their lanes have them, the same question for each; nil unless all of them answer.
    func ask<Answer: Sendable>(
        milliseconds: Int = 5000, _ question: @escaping @Sendable (inout LaneRunner, DiskID) -> Answer
    ) -> [Answer]? {
        var answers: [Answer] = []
        for shard in shards {
            guard let answer = shard.ask(milliseconds: milliseconds, question) else { return nil }
            answers.append(answer)
        }
        return answers
    }

    /// Has the lanes of all its queues do the same.
    func perform(_ work: @escaping @Sendable (inout LaneRunner, DiskID) -> Void) {
        for shard in shards { shard.perform(work) }
    }

    /// nil if a lane does not answer, or has not got its part.
    func snapshot(milliseconds: Int = 5000, isFresh: Bool = false) -> DiskSnapshot? {
        snapshots(milliseconds: milliseconds, isFresh: isFresh).flatMap(DiskSnapshot.init(combining:))
    }

    /// Queue by queue.
    func snapshots(milliseconds: Int = 5000, isFresh: Bool = false) -> [DiskSnapshot]? {
        let answers = ask(milliseconds: milliseconds) { runner, id in
            runner.lane.snapshot(id, at: isFresh ? runner.time : nil)
        }
        guard let found = answers?.compactMap({ $0 }), found.count == shards.count else { return nil }
        return found
    }

    /// How it left its lanes; nil while one of them has it.
    func waitUntilDetached(milliseconds: Int) -> DetachOutcome? {
        let deadline = LinuxSystem.MonotonicClock.now().adding(milliseconds: UInt64(milliseconds))
        var outcome = DetachOutcome(isFlushed: true)
        for shard in shards where shard.state.withLock({ $0.wasInLane }) {
            let left = deadline.nanoseconds(since: LinuxSystem.MonotonicClock.now()) / 1_000_000
            guard let end = shard.detached.wait(milliseconds: Int(left)) else { return nil }
            if !end.isFlushed { outcome.isFlushed = false }
        }
        return outcome
    }
}
