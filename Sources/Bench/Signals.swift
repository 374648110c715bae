import Glibc

/// The signals that end a run early, and SIGCHLD, are blocked and waited for: no handler runs in the middle
/// of anything, so the clean-up is the same for an interrupted run as for a complete one.
enum Signals {
    private static func set(_ signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        return set
    }

    /// To be called on the main thread before any other thread exists, which then inherits the mask.
    static func block() {
        var blocked = set([SIGINT, SIGTERM, SIGHUP, SIGCHLD])
        pthread_sigmask(SIG_BLOCK, &blocked, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Sleeps until a child changes state or `seconds` have passed; throws when the run is to end.
    static func wait(seconds: Double) throws(BenchError) {
        var awaited = set([SIGINT, SIGTERM, SIGHUP, SIGCHLD])
        let nanoseconds = Int(max(0, seconds) * 1e9)
        var timeout = timespec(tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
        let signal = sigtimedwait(&awaited, nil, &timeout)
        if signal > 0, signal != SIGCHLD { throw .interrupted(signal: signal) }
    }

    /// Like `wait`, for the clean-up: a second interrupt must not leave the rest of it undone.
    static func pause(seconds: Double) {
        do throws(BenchError) { try wait(seconds: seconds) } catch {}
    }
}

/// Seconds on the monotonic clock.
func monotonicSeconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}

func errorText(_ errno: Int32) -> String { String(cString: strerror(errno)) }
