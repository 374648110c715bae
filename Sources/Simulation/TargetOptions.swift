/// What a simulated target is and how it behaves. Times in nanoseconds, lengths in bytes.
public struct TargetOptions: Sendable {
    public enum Reinstatement: String, Sendable {
        /// The login waits until the old session's tasks have ended (as LIO does).
        case drains
        /// The login returns at once, and the old session's tasks go on (as tgt does): the ghost write.
        case returnsAtOnce
    }

    /// The portal group of each portal.
    public var portalGroups: [UInt16] = [1, 1]
    /// TPGS of its LUNs: 1 implicit, 2 explicit, 3 both; 0 for no asymmetric access.
    public var groupSupport: UInt8 = 0
    /// The target port group (SPC-4) of each portal; those beyond the end are in group 1.
    public var accessGroups: [UInt16] = []
    public var knowsExtendedHeader = true
    /// Its report with the extended header is four bytes short.
    public var miscountsExtendedHeader = false
    public var reinstatement = Reinstatement.drains
    public var initialR2T = false
    public var immediateData = true
    public var maxRecvDataSegmentLength = 8192
    public var maxBurstLength = 65536
    public var firstBurstLength = 16384
    public var maxOutstandingR2T = 1
    /// MaxConnections: connections that a session may have.
    public var maxConnections = 1
    /// What becomes of a session that has lost one of several connections.
    public var connectionLoss = ConnectionLoss.sessionGoesOn
    /// A Data-In carries at most so much.
    public var dataInBytes = 65536
    /// GOOD status travels with the last Data-In.
    public var collapsesPhases = true
    /// Commands that a session may have under way.
    public var window = 32
    public var loginLatency: ClosedRange<UInt64> = 100_000...500_000
    /// The data of a ping comes back with its echo.
    public var echoesPings = true
    /// A ping with data is rejected.
    public var rejectsPingData = false
    /// 0: never.
    public var pingInterval: UInt64 = 0
    /// A new session after a restart that took the cache away is told 29/01.
    public var announcesRestart = true
    /// The operational keys come in a request of their own round, T only after that.
    public var asksTwice = false
    /// Login text goes out in pieces of at most so many bytes, with the C bit; 0: in one.
    public var textBytes = 0
    /// Portals that send logins elsewhere.
    public var redirections: [Int: Redirection] = [:]

    public struct Redirection: Sendable {
        /// Text of TargetAddress.
        public var address: String
        public var isPermanent: Bool

        public init(to portal: Int, isPermanent: Bool) {
            address = World.address(portal: portal)
            self.isPermanent = isPermanent
        }

        public init(address: String) {
            self.address = address
            isPermanent = false
        }
    }

    public enum ConnectionLoss: String, CaseIterable, Sendable {
        case sessionGoesOn
        /// A logout closes the connection that brings it, whichever it names (as tgt does).
        case sessionGoesOnAndLogoutMistakes
        /// All of it is closed 2 to 2.5 s later (as LIO does).
        case sessionEnds
        /// All of it is closed at once.
        case sessionEndsAtOnce
    }

    /// ErrorRecoveryLevel and its times (seconds), as far as it goes along with them.
    public var errorRecoveryLevel = 0
    public var time2Wait = 0
    public var time2Retain = 20

    public enum Recovery: String, CaseIterable, Sendable {
        case works
        /// Now and then a task is still allegiant to the lost connection.
        case hesitates
        /// Now and then a task is not known any more.
        case forgets
        case refusesLogout
        case refusesReassignment
    }
    /// What it makes of its ErrorRecoveryLevel 2.
    public var recovery = Recovery.works

    public enum Abortion: String, CaseIterable, Sendable {
        /// Answered once the command has ended (as LIO does).
        case waits
        /// Answered at once, and the command goes on (the ghost write).
        case returnsAtOnce
        case refuses
        case saysNothing
    }
    /// What becomes of ABORT TASK for a command that is being carried out.
    public var abortion = Abortion.waits
    public var resetsUnits = true

    /// Says that it is LIO: its logins, aborts and resets wait for what is being carried out, and an ORDERED
    /// command may wait there for ever.
    public var isLIO = false

    public var chap = SimulatedCHAP.none
    /// Asks the same in every login.
    public var repeatsChallenges = false
    /// Takes the number of a CHAP algorithm other than MD5 for another one.
    public var mistakesAlgorithms = false
    /// Digests that the target takes.
    public var headerDigest = false
    public var dataDigest = false
    /// A Data-Out that came damaged ends the connection, as LIO does; otherwise the command, once all of its
    /// data has come (RFC 7143 §7.8).
    public var closesOnDamage = false

    public init() {}
}
