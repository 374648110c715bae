/// A NOP-Out that is out, and what has been heard since.
struct PingState: BitwiseCopyable {
    /// Initiator Task Tags of pings lie above all task slots.
    static let tagBase: UInt32 = 0xfffe_8000

    private(set) var sentAt: Instant?
    private(set) var number: UInt32 = 0

    var tag: UInt32 { Self.tagBase | (number & 0x7fff) }

    mutating func send(now: Instant) -> UInt32 {
        number &+= 1
        sentAt = now
        return tag
    }

    mutating func answered() { sentAt = nil }
}

/// What a path's signs say, and what is to be done. Silence alone makes a path suspect; it is given up only
/// while a sibling answers, or after the recovery time-out.
struct PathHealth: BitwiseCopyable {
    struct Times: BitwiseCopyable, Sendable {
        /// An idle path is asked this often, nanoseconds.
        var noopInterval: UInt64 = 5_000_000_000
        /// With commands out, so much silence makes it suspect, at least.
        var suspicion: UInt64 = 200_000_000
        /// A suspect path that answers no ping for so long is given up while a sibling answers.
        var silenceWithSibling: UInt64 = 400_000_000
        /// The last path is given up after so much silence.
        var recoveryTimeout: UInt64 = 45_000_000_000
    }

    enum Verdict: Equatable, BitwiseCopyable {
        case healthy(checkAt: Instant)
        /// Send a ping now, to siblings as well.
        case ask
        /// No answer yet.
        case suspect(checkAt: Instant)
        case dead(silence: UInt64)
    }

    /// - Parameters:
    ///   - oldest: when the oldest command that is out was issued.
    ///   - lastReceived: when bytes last came.
    ///   - siblingHeard: when bytes last came on a sibling of the same target; zero if there is none.
    static func judge(
        now: Instant, times: Times, oldest: Instant?, lastReceived: Instant, pingSent: Instant?,
        smoothedLatency: UInt64, siblingHeard: Instant
    ) -> Verdict {
        if let pingSent, lastReceived < pingSent {
            let silence = now.nanoseconds(since: pingSent)
            if silence >= times.recoveryTimeout { return .dead(silence: silence) }
            if silence >= times.silenceWithSibling && pingSent < siblingHeard {
                return .dead(silence: silence)
            }
            return .suspect(checkAt: now.adding(milliseconds: 50))
        }
        if let oldest {
            let since = max(oldest, lastReceived)
            let patience = max(times.suspicion, min(8 &* smoothedLatency, times.noopInterval))
            if now.nanoseconds(since: since) >= patience { return .ask }
            return .healthy(checkAt: Instant(nanoseconds: since.nanoseconds &+ patience))
        }
        if now.nanoseconds(since: lastReceived) >= times.noopInterval { return .ask }
        return .healthy(checkAt: Instant(nanoseconds: lastReceived.nanoseconds &+ times.noopInterval))
    }
}
