/// Timers of a target's sessions, under the names that administrators know them by.
public struct SessionTimers: Equatable, BitwiseCopyable, Sendable {
    /// `noop-interval`: an idle path is asked for a sign of life this often.
    public var noopIntervalMilliseconds: UInt64 = 5000
    /// `noop-timeout`: a path whose TCP connection works is given up when it has answered no ping for so
    /// long, while another path of its portal group answers. Where the network is silent as well, less is
    /// enough.
    public var noopTimeoutMilliseconds: UInt64 = 5000
    /// `recovery-timeout`: the last path of a portal group is given up after so much silence; also how long
    /// TCP may wait for an acknowledgement (TCP_USER_TIMEOUT).
    public var recoveryTimeoutMilliseconds: UInt64 = 45_000
    /// `login-timeout`: how long a login may take.
    public var loginTimeoutMilliseconds: UInt64 = 15_000

    public init() {}

    var noopInterval: UInt64 { noopIntervalMilliseconds &* 1_000_000 }
    var noopTimeout: UInt64 { noopTimeoutMilliseconds &* 1_000_000 }
    var recoveryTimeout: UInt64 { recoveryTimeoutMilliseconds &* 1_000_000 }

    /// Of each timer the shorter one.
    func shortest(_ other: SessionTimers) -> SessionTimers {
        var both = self
        both.noopIntervalMilliseconds = min(noopIntervalMilliseconds, other.noopIntervalMilliseconds)
        both.noopTimeoutMilliseconds = min(noopTimeoutMilliseconds, other.noopTimeoutMilliseconds)
        both.recoveryTimeoutMilliseconds = min(recoveryTimeoutMilliseconds, other.recoveryTimeoutMilliseconds)
        both.loginTimeoutMilliseconds = min(loginTimeoutMilliseconds, other.loginTimeoutMilliseconds)
        return both
    }
}
