import CLinux
public import CausewayCore

/// The clock that drives a lane: CLOCK_MONOTONIC, which stands still while the machine sleeps.
public enum MonotonicClock {
    @inline(__always)
    public static func now() -> Instant { Instant(nanoseconds: linux_monotonic_nanoseconds()) }
}
