/// What TCP knows of a path's connection (TCP_INFO), read when there is a reason to.
public struct TransportReport: BitwiseCopyable, Sendable {
    /// Segments that were sent and not acknowledged.
    public var unacknowledgedSegments = 0
    /// Time-outs in a row of the segment that is being sent again; 0 while acknowledgements come.
    public var consecutiveTimeouts = 0
    /// Segments sent again since the connection was made.
    public var totalRetransmits = 0
    /// Smoothed.
    public var roundTripMicroseconds: UInt32 = 0
    /// The largest segment that goes out (without headers), bytes; 0 when it is not known.
    public var segmentBytes = 0
    public var millisecondsSinceAcknowledgement: UInt32 = 0

    public init() {}

    /// The network does not carry what we send, or not the acknowledgements.
    var showsNetworkFault: Bool { unacknowledgedSegments > 0 && consecutiveTimeouts > 0 }
    /// The target's kernel has taken all that was sent: whoever does not answer is behind it.
    var showsLivingPeer: Bool { unacknowledgedSegments == 0 }
}
