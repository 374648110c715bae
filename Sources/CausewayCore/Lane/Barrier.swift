/// An ORDERED TEST UNIT READY that is out on a path for one disk.
struct Barrier {
    /// The lane's task that carries it.
    var task: Int32
    /// The path that carries it instead, because the owner's access state refuses it; -1: its own.
    var via: Int32 = -1
    /// The path no longer waits for it before it carries other disks: the LUN answers, but not with GOOD.
    var isAside = false
    /// How often the answer was another than GOOD.
    var refusals = 0
    /// The last such answer.
    var answer: String?

    /// How long to wait before it is asked again, milliseconds. BUSY passes sooner than a LUN that is gone
    /// comes back.
    var delay: UInt64 { min(200 << UInt64(min(max(refusals - 1, 0), 5)), isAside ? 5000 : 1000) }
}

/// When to say that a fence takes long: after ten seconds, then at growing intervals.
struct FencePatience: BitwiseCopyable {
    let since: Instant
    private(set) var dueAt: Instant
    private var interval = firstNanoseconds

    static let firstNanoseconds: UInt64 = 10_000_000_000
    private static let longestNanoseconds: UInt64 = 600_000_000_000

    init(since: Instant) {
        self.since = since
        dueAt = Instant(nanoseconds: since.nanoseconds &+ Self.firstNanoseconds)
    }

    /// Whether it is time to say so; the next time is later by twice as much.
    mutating func isDue(now: Instant) -> Bool {
        guard dueAt <= now else { return false }
        interval = min(interval * 2, Self.longestNanoseconds)
        dueAt = Instant(nanoseconds: now.nanoseconds &+ interval)
        return true
    }
}
