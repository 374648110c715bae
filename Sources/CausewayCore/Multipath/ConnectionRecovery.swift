/// What becomes of the commands of a lost connection at ErrorRecoveryLevel 2 (RFC 7143 §7.1.4.3, §7.2, §7.5).
///
///     resting ── DefaultTime2Wait ──► loggingOut ── closed ──► waiting ── Time2Wait ──► settling ──► over
///        └──────────────────────────────────┴─────────────────────┴─────────────────────────┴──► failed
///
/// With the logout ("remove the connection for recovery") the target discards what it had not delivered to
/// the LUN yet: that goes out once more, under its own number and tag, so that a target that has it after all
/// takes no second copy. All else it keeps. The allegiance of each command that is to go on is asked for by
/// TASK REASSIGN; the others are left to be forgotten.
struct ConnectionRecovery {
    enum Phase: Equatable, BitwiseCopyable {
        /// Nothing may be asked of the target yet. Can move to: loggingOut.
        case resting(until: Instant)
        /// Can move to: waiting, failed.
        case loggingOut(deadline: Instant)
        /// The target wants a pause before the first reassignment. Can move to: settling.
        case waiting(until: Instant)
        /// Can move to: over, failed.
        case settling
        case over, failed
    }

    enum Failure: Equatable, BitwiseCopyable, CustomStringConvertible {
        case logoutNotAnswered
        case logoutRefused(LogoutResponse.Response)
        case late
        case reassignmentRefused(TaskManagementResponse.Response)

        /// The target does not do it: there is no use in asking it once more.
        var isForGood: Bool {
            switch self {
            case .logoutRefused(let response): response == .recoveryNotSupported
            case .reassignmentRefused: true
            case .logoutNotAnswered, .late: false
            }
        }

        var description: String {
            switch self {
            case .logoutNotAnswered: "the logout of the connection for recovery was not answered"
            case .logoutRefused(let response): "the logout for recovery is answered: \(response)"
            case .late: "commands of the lost connection could not be reassigned in time"
            case .reassignmentRefused(let response): "TASK REASSIGN is answered: \(response)"
            }
        }
    }

    /// What is to be done next. A command is named by its place in `numbers`.
    enum Step: Equatable, BitwiseCopyable {
        case wait(until: Instant)
        case logOut
        /// The target does not have it: its number is to be filled, with itself if it is still wanted.
        case deliver(Int)
        case reassign(Int)
        case finish
        case fail(Failure)
    }

    enum Answer: Equatable, BitwiseCopyable {
        /// It goes on where it was asked for.
        case reassigned
        /// The target knows nothing of it: whether it was carried out cannot be told.
        case unknown
        /// It will be asked again.
        case denied
        case refused
    }

    private enum Fate: Equatable, BitwiseCopyable {
        case open
        case asked
        case denied(until: Instant)
        case settled
    }

    /// TASK REASSIGN is an immediate command, of which a target may take no more than a few at a time. Room
    /// for one it must have (RFC 7143 §4.2.2.1).
    static let askedAtOnce = 16
    /// A longer Time2Wait (seconds) commands are not kept waiting for: level 0 is faster.
    static let longestWaitSeconds = 5
    static let logoutMilliseconds: UInt64 = 2000
    /// All of it within so long, whatever Time2Retain allows.
    static let settlingMilliseconds: UInt64 = 5000
    static let denialMilliseconds: UInt64 = 100

    /// In ascending order.
    let numbers: [CmdSN]
    /// Which of these are to go on.
    private let goesOn: [Bool]
    private(set) var phase: Phase
    private var fates: [Fate]
    /// What the target counted on with when it answered the logout.
    private var expCmdSN = CmdSN(0)
    private var deadline: Instant
    private var mostAsked = askedAtOnce
    /// Before that the target may know the commands that were not asked for.
    private(set) var forgottenAt: Instant
    private let time2Retain: UInt64
    private var failure = Failure.late

    /// - Parameters:
    ///   - numbers: of the commands without an answer, ascending.
    ///   - goesOn: for each of them, whether the target is to go on with it.
    ///   - time2Wait, time2Retain: seconds, as negotiated.
    init(numbers: [CmdSN], goesOn: [Bool], time2Wait: Int, time2Retain: Int, now: Instant) {
        self.numbers = numbers
        self.goesOn = goesOn
        fates = Array(repeating: .open, count: numbers.count)
        phase = .resting(until: now.adding(milliseconds: UInt64(clamping: time2Wait) * 1000))
        self.time2Retain = UInt64(clamping: time2Retain)
        deadline = now.adding(milliseconds: (UInt64(clamping: time2Wait) + self.time2Retain) * 1000)
        forgottenAt = deadline
    }

    /// To be called until there is nothing to do but to wait.
    mutating func next(now: Instant) -> Step {
        switch phase {
        case .resting(let until):
            guard until <= now else { return .wait(until: until) }
            phase = .loggingOut(
                deadline: min(now.adding(milliseconds: Self.logoutMilliseconds), max(deadline, now)))
            return .logOut
        case .loggingOut(let deadline):
            return deadline <= now ? fail(.logoutNotAnswered) : .wait(until: deadline)
        case .waiting(let until):
            if let index = undelivered() { return .deliver(index) }
            guard until <= now else { return .wait(until: until) }
            phase = .settling
            return next(now: now)
        case .settling: return settle(now)
        case .over: return .finish
        case .failed: return .fail(failure)
        }
    }

    /// What keeps later commands of all connections waiting: only reassignment has to wait for Time2Wait.
    private mutating func undelivered() -> Int? {
        for (index, number) in numbers.enumerated() where fates[index] == .open && expCmdSN <= number {
            fates[index] = .settled
            return index
        }
        return nil
    }

    private mutating func settle(_ now: Instant) -> Step {
        for index in numbers.indices where fates[index] == .open && !goesOn[index] { fates[index] = .settled }
        guard let first = fates.firstIndex(where: { $0 != .settled }) else {
            phase = .over
            return .finish
        }
        guard now < deadline else { return fail(.late) }
        var wake = deadline
        guard fates.count(where: { $0 == .asked }) < mostAsked else { return .wait(until: wake) }
        for index in first..<fates.count {
            switch fates[index] {
            case .denied(let until) where now < until: wake = min(wake, until)
            case .open, .denied:
                fates[index] = .asked
                return .reassign(index)
            case .asked, .settled: break
            }
        }
        return .wait(until: wake)
    }

    private mutating func fail(_ failure: Failure) -> Step {
        self.failure = failure
        phase = .failed
        return .fail(failure)
    }

    /// - Parameter expCmdSN: the lowest number that the target had not delivered.
    mutating func logoutAnswered(_ pdu: LogoutResponse, expCmdSN: CmdSN, now: Instant) {
        guard case .loggingOut = phase else { return }
        guard pdu.response == .closed else {
            _ = fail(.logoutRefused(pdu.response))
            return
        }
        self.expCmdSN = expCmdSN
        let until = now.adding(milliseconds: UInt64(pdu.time2Wait) * 1000)
        let retain = max(UInt64(pdu.time2Retain), time2Retain)
        forgottenAt = max(forgottenAt, until.adding(milliseconds: retain * 1000))
        guard Int(pdu.time2Wait) <= Self.longestWaitSeconds else {
            _ = fail(.late)
            return
        }
        // 0 says that nothing was kept (RFC 7143 §11.15.4), or that the field was not filled in, as LIO does
        // it: the answers will tell.
        let retained = pdu.time2Retain == 0 ? UInt64.max : UInt64(pdu.time2Retain) * 1000
        deadline = until.adding(milliseconds: min(retained, Self.settlingMilliseconds))
        phase = .waiting(until: until)
    }

    /// The target had no room for one that was asked for: from now on one at a time.
    mutating func rejected(_ index: Int, now: Instant) {
        mostAsked = 1
        _ = answered(index, .taskStillAllegiant, now: now)
    }

    mutating func answered(_ index: Int, _ response: TaskManagementResponse.Response, now: Instant) -> Answer?
    {
        guard phase == .settling, fates.indices.contains(index), fates[index] == .asked else { return nil }
        switch response {
        case .functionComplete:
            fates[index] = .settled
            return .reassigned
        case .taskDoesNotExist:
            fates[index] = .settled
            return .unknown
        case .taskStillAllegiant:
            fates[index] = .denied(until: now.adding(milliseconds: Self.denialMilliseconds))
            return .denied
        default:
            _ = fail(.reassignmentRefused(response))
            return .refused
        }
    }
}
