import Glibc

/// The time of day, for people.
enum WallClock {
    /// Microseconds since 1970-01-01 00:00 UTC.
    static func microseconds() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1000
    }
}
