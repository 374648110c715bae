/// How well a path has been, since the disk's target was attached.
public struct PathHealthReport: Codable, Equatable, Sendable {
    /// TCP's round trip, smoothed; nil while there is no connection.
    public var rttMicroseconds: UInt64?
    /// Segments that TCP sent again on the present connection.
    public var retransmits: UInt64?
    /// Times that the connection was lost.
    public var losses: UInt64
    /// Pings (NOP-Out) sent.
    public var pings: UInt64
    /// Times it was silent for longer than its past explains.
    public var suspicions: UInt64
    public var quarantines: UInt64
    /// When the present quarantine ends, in microseconds since 1970-01-01 00:00 UTC.
    public var quarantinedUntilMicroseconds: UInt64?
    /// Reads that were slow here and were sent a second time on another path.
    public var hedgedReads: UInt64
    /// Those of them whose second copy was answered first.
    public var hedgesWon: UInt64
    /// Fences by proof: a barrier behind the login, or a login for which the target finishes earlier
    /// commands.
    public var fencesByBarrier: UInt64
    public var fencesByLogin: UInt64
    /// From the loss to the proof, for the newest fence.
    public var lastFenceMicroseconds: UInt64?
    /// Sent writes that waited for a fence.
    public var heldWrites: UInt64
    /// Commands of its lost connections that the target went on with over another (TASK REASSIGN).
    public var reassigned: UInt64

    public init(
        rttMicroseconds: UInt64? = nil, retransmits: UInt64? = nil, losses: UInt64 = 0, pings: UInt64 = 0,
        suspicions: UInt64 = 0, quarantines: UInt64 = 0, quarantinedUntilMicroseconds: UInt64? = nil,
        hedgedReads: UInt64 = 0, hedgesWon: UInt64 = 0, fencesByBarrier: UInt64 = 0,
        fencesByLogin: UInt64 = 0,
        lastFenceMicroseconds: UInt64? = nil, heldWrites: UInt64 = 0, reassigned: UInt64 = 0
    ) {
        self.rttMicroseconds = rttMicroseconds
        self.retransmits = retransmits
        self.losses = losses
        self.pings = pings
        self.suspicions = suspicions
        self.quarantines = quarantines
        self.quarantinedUntilMicroseconds = quarantinedUntilMicroseconds
        self.hedgedReads = hedgedReads
        self.hedgesWon = hedgesWon
        self.fencesByBarrier = fencesByBarrier
        self.fencesByLogin = fencesByLogin
        self.lastFenceMicroseconds = lastFenceMicroseconds
        self.heldWrites = heldWrites
        self.reassigned = reassigned
    }
}
