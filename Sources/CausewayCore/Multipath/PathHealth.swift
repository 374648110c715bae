/// What a path has shown of itself, all that `PathHealth` judges by.
struct PathSigns: BitwiseCopyable {
    var now: Instant
    /// When the oldest command that is out was issued.
    var oldest: Instant?
    /// When bytes last came.
    var lastReceived: Instant
    /// How long the path's own past lets such a command take, nanoseconds.
    var patience: UInt64
    /// When the ping that is out was sent.
    var pingSent: Instant?
    /// It carries no I/O yet: the first full-size ping is out.
    var isOnTrial = false
    var transport: TransportReport?
    /// When `transport` was read.
    var transportRead = Instant(nanoseconds: 0)
    /// When bytes last came on a sibling of the same portal group; zero if there is none.
    var siblingHeard = Instant(nanoseconds: 0)
}

/// What a path's signs say, and what is to be done. Silence alone makes a path suspect; it is given up only
/// while a sibling answers, or after the recovery time-out.
enum PathHealth {
    /// With commands out, less silence than this never makes a path suspect, nanoseconds.
    static let shortestPatience: UInt64 = 100_000_000
    /// The same while the path has no past.
    static let firstPatience: UInt64 = 200_000_000
    /// With commands out, TCP is asked after so much silence, and again as often.
    static let lookInterval: UInt64 = 200_000_000
    /// A suspect path that answers no ping for so long is given up while a sibling answers: one segment may
    /// be lost and sent again by TCP (200 ms at least).
    static let silenceWithSibling: UInt64 = 400_000_000
    /// What a path that carries no I/O yet may take for its first full-size ping.
    static let trialSilence: UInt64 = 800_000_000
    static let trialSilenceAlone: UInt64 = 2_000_000_000

    enum Verdict: Equatable, BitwiseCopyable {
        case healthy(checkAt: Instant)
        /// Ask TCP.
        case look
        /// Send a ping now; commands wait for longer than they should.
        case ask
        /// Send a ping now, for nothing was heard for long.
        case askIdle
        /// No answer yet.
        case suspect(checkAt: Instant)
        case dead(silence: UInt64)
    }

    /// How long a command may take until something seems wrong.
    /// - Parameter usual: what one in 512 of the path's own answers exceeded, if it has a past.
    static func patience(usual: UInt64?, timers: SessionTimers) -> UInt64 {
        guard let usual else { return firstPatience }
        return max(shortestPatience, min(4 &* usual, timers.noopInterval))
    }

    static func judge(_ signs: PathSigns, _ timers: SessionTimers) -> Verdict {
        if let pingSent = signs.pingSent, signs.lastReceived < pingSent {
            return judgePing(signs, timers, pingSent)
        }
        guard let oldest = signs.oldest else {
            let due = Instant(nanoseconds: signs.lastReceived.nanoseconds &+ timers.noopInterval)
            return due <= signs.now ? .askIdle : .healthy(checkAt: due)
        }
        let since = max(oldest, signs.lastReceived)
        let due = Instant(nanoseconds: since.nanoseconds &+ signs.patience)
        if due <= signs.now { return .ask }
        // A path with a slow past: TCP knows sooner whether the network carries anything.
        let lookBase = max(since, signs.transportRead)
        let look = Instant(nanoseconds: lookBase.nanoseconds &+ lookInterval)
        if let transport = signs.transport, signs.transportRead > since, transport.showsNetworkFault {
            return .ask
        }
        if look <= signs.now { return .look }
        return .healthy(checkAt: min(due, look))
    }

    private static func judgePing(_ signs: PathSigns, _ timers: SessionTimers, _ pingSent: Instant)
        -> Verdict
    {
        let silence = signs.now.nanoseconds(since: pingSent)
        if silence >= timers.recoveryTimeout { return .dead(silence: silence) }
        var limit = signs.isOnTrial ? trialSilence : silenceWithSibling
        var limitAlone = trialSilenceAlone
        if let transport = signs.transport, signs.transportRead > pingSent, transport.showsLivingPeer {
            // It acknowledges and does not answer: the target is slow, not the network.
            limit = timers.noopTimeout
            limitAlone = timers.noopTimeout
        }
        if signs.isOnTrial && silence >= limitAlone { return .dead(silence: silence) }
        if pingSent < signs.siblingHeard && silence >= limit { return .dead(silence: silence) }
        return .suspect(checkAt: signs.now.adding(milliseconds: silence < 40_000_000 ? 10 : 50))
    }
}
