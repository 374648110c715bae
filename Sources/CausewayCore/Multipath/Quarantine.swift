/// Keeps a grey path, one that is slow or fails now and then, away from I/O for a while that grows each time.
/// Its session stands meanwhile, and pings go on.
struct Quarantine: BitwiseCopyable {
    enum Reason: BitwiseCopyable, Equatable {
        case losses(Int)
        /// Mean answer times, its own and the best sibling's, nanoseconds.
        case slow(own: UInt64, best: UInt64)
        case segments
    }

    static let firstHoldOff: UInt64 = 5_000_000_000
    static let longestHoldOff: UInt64 = 300_000_000_000
    /// So many marks within the window are too many.
    static let marksMax = 6
    static let window: UInt64 = 60_000_000_000

    private(set) var until: Instant?
    private(set) var reason = Reason.losses(0)
    /// The next hold-off.
    private(set) var holdOff = firstHoldOff
    private(set) var count: UInt64 = 0
    private var marks = [6 of Instant](repeating: Instant(nanoseconds: 0))
    private var markCount = 0
    private var releasedAt: Instant?

    var isActive: Bool { until != nil }

    /// It was let back in a short while ago: less is enough to keep it out again.
    func isOnProbation(_ now: Instant) -> Bool {
        guard let releasedAt else { return false }
        return now.nanoseconds(since: releasedAt) < Self.window
    }

    /// The path failed while others did not. Returns how many such marks make it a grey path; nil if it is
    /// none yet.
    mutating func mark(_ now: Instant) -> Int? {
        marks[markCount % Self.marksMax] = now
        markCount += 1
        var recent = 0
        for at in 0..<min(markCount, Self.marksMax) where now.nanoseconds(since: marks[at]) < Self.window {
            recent += 1
        }
        return recent >= Self.marksMax || isOnProbation(now) ? recent : nil
    }

    /// Begins, or begins anew.
    mutating func begin(_ reason: Reason, now: Instant) {
        forgive(now)
        until = Instant(nanoseconds: now.nanoseconds &+ holdOff)
        self.reason = reason
        holdOff = min(2 &* holdOff, Self.longestHoldOff)
        markCount = 0
        count += 1
    }

    /// It is not fit to end yet.
    mutating func prolong(now: Instant, milliseconds: UInt64) {
        until = now.adding(milliseconds: milliseconds)
    }

    mutating func end(_ now: Instant) {
        until = nil
        releasedAt = now
    }

    /// Each minute of good behaviour takes back half of what was learnt.
    private mutating func forgive(_ now: Instant) {
        guard let releasedAt else { return }
        var good = now.nanoseconds(since: releasedAt) / Self.window
        while good > 0 && holdOff > Self.firstHoldOff {
            holdOff = max(holdOff / 2, Self.firstHoldOff)
            good -= 1
        }
    }
}

extension Quarantine {
    /// Why, for people.
    /// - Parameter way: `eth1->10.0.1.1:3260`.
    func text(way: String) -> String {
        switch reason {
        case .losses(let count):
            count == 1 ? "lost again soon after it came back" : "lost \(count) times within a minute"
        case .slow(let own, let best):
            "slow: \(Self.milliseconds(own)) an answer, other paths \(Self.milliseconds(best))"
        case .segments: Self.segmentsText(way: way)
        }
    }

    static func segmentsText(way: String) -> String {
        "small pings pass, full-size ones do not: check the MTU along \(way)"
    }

    private static func milliseconds(_ nanoseconds: UInt64) -> String {
        let tenths = nanoseconds / 100_000
        return "\(tenths / 10).\(tenths % 10) ms"
    }
}
