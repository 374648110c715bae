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
    public var reinstatement = Reinstatement.drains
    public var initialR2T = false
    public var immediateData = true
    public var maxRecvDataSegmentLength = 8192
    public var maxBurstLength = 65536
    public var firstBurstLength = 16384
    public var maxOutstandingR2T = 1
    /// A Data-In carries at most so much.
    public var dataInBytes = 65536
    /// GOOD status travels with the last Data-In.
    public var collapsesPhases = true
    /// Commands that a session may have under way.
    public var window = 32
    public var loginLatency: ClosedRange<UInt64> = 100_000...500_000
    /// 0: never.
    public var pingInterval: UInt64 = 0
    /// A new session after a restart that took the cache away is told 29/01.
    public var announcesRestart = true
    /// The operational keys come in a request of their own round, T only after that.
    public var asksTwice = false

    public init() {}
}
