public import CausewayControl
public import CausewayCore

/// What several queues ask of a disk's settings.
///
/// The kernel waits for ever only for the answers of a device with one socket. With several it gives a socket
/// up whose request has no answer within the device's time-out, and sends the request again on another one,
/// where its first copy may still be alive. So every wait has an end, and the kernel's time-out is above all
/// of them together. Where they begin anew, as when all paths are lost twice, it may be over all the same;
/// then the shards keep the second copy waiting.
public enum QueueRules {
    /// Above what the settings make of a request's wait: retries, a fence, a target that is busy.
    private static let reserveMilliseconds: UInt64 = 30_000

    /// Keys of the settings that the kernel's time-out follows from, or that are refused.
    public static let keys = [
        "all-paths-down-timeout", "command-timeout", "recovery-timeout", "space",
    ]

    /// What lets a request wait without end, in a sentence each; empty where nothing does.
    public static func endless(_ settings: DiskSettings) -> [(key: String, reason: String)] {
        var found: [(key: String, reason: String)] = []
        func refuse(_ key: String, _ value: String) {
            found.append(
                (
                    key,
                    "\(key) = \(value) lets requests wait without end, and a disk with several queues needs "
                        + "an end: the kernel sends a request again that waits too long"
                ))
        }
        if settings.failure.allPathsDownTimeout == .forever { refuse("all-paths-down-timeout", "forever") }
        if settings.commandTimeoutMilliseconds == 0 { refuse("command-timeout", "never") }
        if settings.failure.space == .hold { refuse("space", "hold") }
        return found
    }

    /// `NBD_ATTR_TIMEOUT` of a disk with several queues.
    public static func kernelTimeoutSeconds(_ settings: DiskSettings) -> UInt64 {
        var milliseconds = settings.commandTimeoutMilliseconds
        milliseconds += settings.timers.recoveryTimeoutMilliseconds + reserveMilliseconds
        if case .milliseconds(let patience) = settings.failure.allPathsDownTimeout {
            milliseconds += patience
        }
        return (milliseconds + 999) / 1000
    }

    /// What keeps a disk from having several queues with these settings.
    public static func check(
        _ settings: DiskSettings, queues: UInt32
    ) throws(ControlError) {
        guard queues > 1, let first = endless(settings).first else { return }
        throw .invalidArgument(first.reason, remedy: "set another \(first.key), or give the disk one queue")
    }

    /// Whether settings may be changed to these under a kernel device, or under clients, that wait so long.
    public static func check(
        _ settings: DiskSettings, kernelTimeoutSeconds limit: UInt64
    ) throws(ControlError) {
        try check(settings, queues: 2)
        let needed = kernelTimeoutSeconds(settings)
        guard needed > limit else { return }
        throw .invalidArgument(
            "with these times a request may wait \(needed) s, and a disk with several queues was attached "
                + "with a limit of \(limit) s: after that the kernel sends it again",
            remedy: "shorten all-paths-down-timeout, command-timeout or recovery-timeout, or detach and "
                + "attach the disk")
    }
}
