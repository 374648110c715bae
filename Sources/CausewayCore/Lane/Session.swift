/// The one session of a target whose paths are its connections (RFC 7143 §3.2.2, §4.2.2): who it is, and
/// where it stands.
final class Session {
    /// In `sessionQueues`.
    let index: Int32
    /// What its leading login negotiated; nil while no session stands.
    var standing: NegotiatedParameters?
    /// It has stood before: what a predecessor had left is fenced, or owed by the paths of that time.
    var hasStood = false
    var began = Instant(nanoseconds: 0)
    /// The portal group that it was made in; a fence through another does not count.
    var portalGroupTag: UInt16?
    /// What its leading login has proved.
    var proof = ReinstatementProof.needsBarrier
    /// The newest CID. None is used twice: a connection that takes the place of one with its CID is what
    /// RFC 7143 §6.3.4 calls connection reinstatement, and LIO's kernel has died of it (Linux 6.1).
    var cid: UInt16 = 0
    /// A lost connection that is being cleaned up.
    var cleanUp: ConnectionCleanUp?
    /// Who has sent NOP-Outs in place of lost commands, and the highest CmdSN of these.
    var plugged: (path: Int32, cmdSN: CmdSN)?
    /// Who has carried a logout for another connection last, and when that was answered.
    var logoutCarrier: (path: Int32, time: Instant)?
    /// How long its leading login may go without a word before another path leads, milliseconds.
    var leaderPatience = firstLeaderPatience
    static let firstLeaderPatience: UInt64 = 200
    /// The newest record of it, for whoever keeps it.
    var recordNumber: UInt64 = 0

    init(index: Int32) { self.index = index }
}

/// The end of one connection while its session goes on (RFC 7143 §11.14): a logout for it through another
/// connection, then NOP-Outs in place of commands that have not reached the target, then the barrier.
struct ConnectionCleanUp {
    enum Phase {
        /// Can move to: fencing, over; or the session ends.
        case loggingOut(deadline: Instant)
        /// Can move to: over; or the session ends.
        case fencing
    }

    static let milliseconds: UInt64 = 2000
    /// Some targets close the connection that brings a logout for another (tgt does so): so soon after they
    /// have answered it, and without a word between.
    static let mistakeNanoseconds: UInt64 = 20_000_000
    static let tag = PingState.tagBase - 2
    /// Tags of those NOP-Outs, which a target echoes, lie above all task slots.
    static let plugTagBase: UInt32 = 0xfffc_8000

    static func isPlugTag(_ tag: UInt32) -> Bool { tag & 0xffff_8000 == plugTagBase }

    /// The path whose connection was lost.
    var lost: Int32
    /// The path that carries all of it.
    var via: Int32
    var began: Instant
    var phase: Phase
    /// Of the commands that were under way on the lost connection.
    var numbers: [CmdSN]
}
