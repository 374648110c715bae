/// When a disk returns to its preferred path: at once the first time it comes up, later after a hold-off that
/// grows with each time that it is lost again soon, so that a path that comes and goes moves nothing.
struct FailBack: BitwiseCopyable {
    private static var shortest: UInt64 { 1000 }
    private static var longest: UInt64 { 60_000 }
    /// A path that lasted so long is forgiven, nanoseconds.
    private static var lasting: UInt64 { 60_000_000_000 }

    /// Milliseconds.
    private(set) var holdOff: UInt64 = shortest
    private var lastReturn: Instant?

    /// The preferred path works again after it was lost. Returns when it may take over, if it lasts until
    /// then.
    mutating func found(now: Instant) -> Instant {
        if let lastReturn {
            holdOff =
                now.nanoseconds(since: lastReturn) < Self.lasting
                ? min(holdOff &* 2, Self.longest) : Self.shortest
        }
        lastReturn = now.adding(milliseconds: holdOff)
        return now.adding(milliseconds: holdOff)
    }
}
