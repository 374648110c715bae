/// A moment on the monotonic clock of whoever drives the core, in nanoseconds. The core never reads a clock.
public struct Instant: Comparable, BitwiseCopyable, Sendable {
    public var nanoseconds: UInt64
    @inline(__always) public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }
    @inline(__always)
    public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
    /// Nanoseconds from `earlier` to `self`, zero if `earlier` is later.
    @inline(__always)
    public func nanoseconds(since earlier: Instant) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds &- earlier.nanoseconds : 0
    }
    @inline(__always)
    public func adding(milliseconds: UInt64) -> Instant {
        Instant(nanoseconds: nanoseconds &+ milliseconds &* 1_000_000)
    }
    public static let never = Instant(nanoseconds: .max)
}
