import CausewayCore
import LinuxSystem

/// How long discovery waits, in milliseconds.
struct DiscoveryTimeouts: Hashable, Sendable {
    /// One TCP connection.
    var connect: UInt64 = 3_000
    /// All that a portal is asked for in one go, its redirections included: login and SendTargets, or the
    /// login to a target.
    var session: UInt64 = 10_000
    /// One SCSI command, its repetitions included.
    var command: UInt64 = 10_000
    /// All LUNs of one target.
    var logicalUnits: UInt64 = 60_000
    /// Saying good-bye.
    var logout: UInt64 = 1_000

    static func after(_ milliseconds: UInt64, notAfter end: Instant = .never) -> Instant {
        min(LinuxSystem.MonotonicClock.now().adding(milliseconds: milliseconds), end)
    }
}
