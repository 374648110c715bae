import CausewayControl
import Glibc

/// The time of day, for people.
enum WallClock {
    /// Microseconds since 1970-01-01 00:00 UTC.
    static func microseconds() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1000
    }

    /// `2026-01-31T23:59:59.123Z`
    static func text() -> String {
        let now = microseconds()
        let milliseconds = "\(1000 + now / 1000 % 1000)".dropFirst()
        return "\(Quantities.utc(microseconds: now).dropLast()).\(milliseconds)Z"
    }
}
