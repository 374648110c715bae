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
    /// Slots of commands that nobody waits for, while the target may still know their tags.
    var retired: [(slot: Int32, until: Instant)] = []
    /// How many commands were left behind at the target since the session began.
    var leftBehind = 0
    /// The target agreed to ErrorRecoveryLevel 2 and did not keep to it: no login offers it any more.
    var recoveryIsRefused = false
    /// The newest record of it, for whoever keeps it.
    var recordNumber: UInt64 = 0

    init(index: Int32) { self.index = index }

    /// Lets the recovery of a lost connection go on; nil if none is under way.
    func withRecovery<T>(_ change: (inout ConnectionRecovery) -> T) -> T? {
        guard var cleanUp, case .recovering(var recovery) = cleanUp.phase else { return nil }
        let result = change(&recovery)
        cleanUp.phase = .recovering(recovery)
        self.cleanUp = cleanUp
        return result
    }
}

/// The end of one connection while its session goes on (RFC 7143 §11.14): a logout for it through another
/// connection, then NOP-Outs in place of commands that have not reached the target, then the barrier.
struct ConnectionCleanUp {
    enum Phase {
        /// Can move to: fencing, over; or the session ends.
        case loggingOut(deadline: Instant)
        /// At ErrorRecoveryLevel 2: its commands are made to go on. Can move to: fencing, over; or the
        /// session ends.
        case recovering(ConnectionRecovery)
        /// Can move to: over; or the session ends.
        case fencing
    }

    var isRecovery: Bool { if case .recovering = phase { true } else { false } }
    var isFencing: Bool { if case .fencing = phase { true } else { false } }

    /// What it waits for, unless that is the LUN.
    var wait: String? {
        switch phase {
        case .loggingOut: "the fence waits for the logout of the lost connection through another one"
        case .recovering: "commands of the lost connection wait to be reassigned to another one"
        case .fencing: nil
        }
    }

    static let milliseconds: UInt64 = 2000
    /// Some targets close the connection that brings a logout for another (tgt does so): so soon after they
    /// have answered it, and without a word between.
    static let mistakeNanoseconds: UInt64 = 20_000_000
    static let tag = PingState.tagBase - 2
    /// Tags of those NOP-Outs, which a target echoes, lie above all task slots.
    static let plugTagBase: UInt32 = 0xfffc_8000

    static func isPlugTag(_ tag: UInt32) -> Bool { tag & 0xffff_8000 == plugTagBase }

    /// The path whose connection was lost, and what the target knows of that.
    var lost: Int32
    var cid: UInt16
    var expStatSN: StatSN
    /// The path that carries all of it.
    var via: Int32
    var began: Instant
    var phase: Phase
    /// Of the commands that were under way on the lost connection.
    var numbers: [CmdSN]
    /// These commands, in the same order, at ErrorRecoveryLevel 2.
    var kept: [KeptCommand] = []
    /// How many of them the target was made to go on with, and how many went out once more.
    var reassigned = 0
    var delivered = 0
}

/// A command of a lost connection that the target may keep.
struct KeptCommand: BitwiseCopyable {
    /// Tags of TASK REASSIGN lie above all task slots.
    static let tagBase: UInt32 = 0xfffb_8000

    static func isTag(_ tag: UInt32) -> Bool { tag & 0xffff_8000 == tagBase }

    var reference: TaskReference
    var lun: UInt64
    /// It is to go on, as the command that it is. All else is sent anew, and only its tag is kept.
    var goesOn: Bool
}
