/// What a path has to do and how fast it does it, for the policy service-time.
///
/// A command is expected to be answered after the time that the path needs for all that is under way on it,
/// and then for the command itself, which is its latency at least:
/// ```
///  under way / rate + max(latency, command / rate)
/// ```
/// The rate is what the path delivered while a command was under way, per time. Where the path was not full
/// that is less than it could do, so a rate counts in full only if it is higher than the one known or if the
/// latency shows a queue. Weights need not be given by hand, and follow when a link changes its speed.
struct PathLoad: BitwiseCopyable {
    /// Some disk's policy asks for it; otherwise nothing is kept.
    private(set) var isMeasured = false
    /// Under way, units.
    private(set) var underWay: Int64 = 0
    /// Answered since the beginning, units.
    private var delivered: UInt64 = 0
    /// Latency without a queue, of commands as they are, nanoseconds.
    private var base: UInt64 = 0
    /// Nanoseconds for 256 units.
    private var pace = standardPace
    private var lastAnswered: UInt64 = 0

    /// Units are 512 bytes; a command costs eight more, so that many small ones weigh as they do.
    @inline(__always)
    static func units(bytes: Int32) -> Int64 { Int64(bytes &>> 9) &+ 8 }

    /// 1 Gbit/s: what is supposed of a path before its first answer.
    private static var standardPace: UInt64 { 256 * 4096 }
    /// So that sums of products of it do not overflow: about 4 s for a unit.
    private static var slowestPace: UInt64 { 1 << 40 }
    /// A mark from which nothing can be told.
    static var noMark: UInt64 { .max }

    /// Begins to measure. `underWay` is what is out already; its tasks have `noMark`.
    mutating func begin(underWay: Int64) {
        self = PathLoad()
        isMeasured = true
        self.underWay = underWay
    }

    mutating func end() { self = PathLoad() }

    /// Nothing is under way any more: the session is over. What was measured may not be true of the next one.
    mutating func empty() {
        let wasMeasured = isMeasured
        self = PathLoad()
        isMeasured = wasMeasured
    }

    /// A command goes out. Returns its mark.
    @inline(__always)
    mutating func issued(bytes: Int32) -> UInt64 {
        underWay &+= Self.units(bytes: bytes)
        return delivered
    }

    /// A command is not waited for any more: it ended without an answer.
    mutating func abandoned(bytes: Int32) {
        if isMeasured { underWay &-= Self.units(bytes: bytes) }
    }

    /// A command was answered. `latency` nanoseconds after it went out, at `now`.
    @inline(__always)
    mutating func answered(bytes: Int32, mark: UInt64, latency: UInt64, now: UInt64) {
        let units = Self.units(bytes: bytes)
        let wasAlone = underWay <= units
        underWay &-= units
        delivered &+= UInt64(bitPattern: units)
        lastAnswered = now
        guard mark != Self.noMark, latency > 0 else { return }
        if base == 0 || latency < base {
            base = latency
        } else if wasAlone {
            base &+= (latency &- base) &>> 3
        }
        let measured = min(latency &* 256 / max(delivered &- mark, 1), Self.slowestPace)
        if measured < pace {
            // A path that was tried after a long time is as fast as it just was.
            pace &-= (pace &- measured) &>> (wasAlone ? 0 : 2)
        } else if latency > 2 &* base {
            pace &+= (measured &- pace) &>> 4
        }
    }

    /// When a further command would be answered, nanoseconds from now. A path that has been idle counts as
    /// faster from second to second: what was measured ages, and it is tried again.
    @inline(__always)
    func expected(bytes: Int32, now: UInt64) -> UInt64 {
        let queued = UInt64(bitPattern: max(underWay, 0)) &* pace &>> 8
        let own = UInt64(bitPattern: Self.units(bytes: bytes)) &* pace &>> 8
        let nanoseconds = queued &+ max(base, own)
        guard underWay <= 0, now > lastAnswered else { return nanoseconds }
        return nanoseconds &>> min((now &- lastAnswered) &>> 30, 63)
    }
}
