/// What a path did in the last second, for comparing it with its siblings.
///
/// Slow answers alone do not make a grey path: behind a link that is full they queue, and leaving the link
/// out would lose what it carries. So its rate counts too, over the time in which it had something to do: a
/// link with a third of the speed of another is worth having, one with less than an eighth is in the way.
struct AnswerWindow: BitwiseCopyable {
    /// So many answers at least say something.
    static let answersMin: UInt64 = 8
    /// A path is slow when it takes so many times as long as the best, and so much longer, nanoseconds, and
    /// does less than that part of the best's work in its time.
    static let factor: UInt64 = 8
    static let difference: UInt64 = 5_000_000
    /// Windows in a row that make a slow path a grey one; fewer when it is on probation.
    static let windowsMax = 5
    static let windowsOnProbation = 2

    /// Sums since the beginning.
    struct Totals: BitwiseCopyable {
        var commands: UInt64 = 0
        /// Moved, either way.
        var bytes: UInt64 = 0
        /// Of all answers, nanoseconds.
        var latency: UInt64 = 0
        /// With commands under way, nanoseconds.
        var busy: UInt64 = 0
    }

    /// What a window showed.
    struct Showing: BitwiseCopyable, Equatable {
        /// Nanoseconds an answer.
        var mean: UInt64
        /// Work for each second in which the path had any: bytes, and 4096 for each command.
        var rate: UInt64
    }

    private var totals = Totals()
    /// nil if too little came.
    private(set) var showing: Showing?
    private(set) var slowWindows = 0

    /// Ends a window.
    mutating func close(_ new: Totals) {
        let commands = new.commands &- totals.commands
        let work = new.bytes &- totals.bytes &+ 4096 &* commands
        let microseconds = max(1, (new.busy &- totals.busy) / 1000)
        showing =
            commands >= Self.answersMin
            ? Showing(
                mean: (new.latency &- totals.latency) / commands,
                rate: work.multipliedFullWidth(by: 1_000_000).high == 0
                    ? work &* 1_000_000 / microseconds : .max)
            : nil
        totals = new
    }

    /// Holds the window against that of the sibling that answers fastest. Returns whether the path is grey.
    mutating func compare(best: Showing, isOnProbation: Bool) -> Bool {
        guard let showing else { return false }
        guard showing.mean > Self.factor &* best.mean, showing.mean > best.mean &+ Self.difference,
            showing.rate < best.rate / Self.factor
        else {
            slowWindows = 0
            return false
        }
        slowWindows += 1
        return slowWindows >= (isOnProbation ? Self.windowsOnProbation : Self.windowsMax)
    }

    mutating func reset() { slowWindows = 0 }
}

/// How long a path had commands under way.
struct BusyTime: BitwiseCopyable {
    private var ended: UInt64 = 0
    private var since: Instant?

    @inline(__always)
    mutating func begin(_ now: Instant) { since = now }

    @inline(__always)
    mutating func end(_ now: Instant) {
        if let since { ended &+= now.nanoseconds(since: since) }
        since = nil
    }

    /// Nanoseconds up to `now`.
    func total(_ now: Instant) -> UInt64 { ended &+ (since.map { now.nanoseconds(since: $0) } ?? 0) }
}
