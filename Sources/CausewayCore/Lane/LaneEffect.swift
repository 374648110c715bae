/// What a lane wants done outside.
public enum LaneEffect: Sendable {
    /// Open a TCP connection on a route and report `connected` or `connectFailed`.
    ///
    /// The kernel gives it up when sent data is not acknowledged for `userTimeoutMilliseconds`
    /// (TCP_USER_TIMEOUT).
    case connect(StreamID, route: RouteID, userTimeoutMilliseconds: UInt32)
    /// The same from the route's interface to another address, which the target has named.
    case connectElsewhere(
        StreamID, route: RouteID, address: PortalAddress, userTimeoutMilliseconds: UInt32)
    /// Read what TCP knows of this stream (TCP_INFO) and report it with `inspected`.
    case inspect(StreamID)
    /// The lane has let go of this stream: close its descriptor, and report nothing more of it.
    case close(StreamID)
    /// What this connection has not sent yet must not be sent any more (RST); its `close` follows.
    case abort(StreamID)
    case notice(LaneNotice)
}

/// A way from a bound interface to a portal, numbered by whoever drives the lane.
public struct RouteID: BitwiseCopyable, Hashable, Sendable {
    public var rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }
}

/// Names a disk of a lane to the supervisor.
public struct DiskID: BitwiseCopyable, Hashable, Sendable {
    public var rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }
}

/// What sets a session apart at its target, beside the portal group (RFC 7143 §4.4.3).
public struct SessionName: Hashable, Sendable {
    public var initiator: ISCSIName
    public var target: ISCSIName
    public var isid: InitiatorSessionID

    public init(initiator: ISCSIName, target: ISCSIName, isid: InitiatorSessionID) {
        self.initiator = initiator
        self.target = target
        self.isid = isid
    }
}

/// News for the supervisor.
public enum LaneNotice: Sendable {
    /// The first path is up and has shown the LUN: the disk may be exported.
    case ready(DiskID, DiskDescription)
    /// Every path was tried once and none showed the LUN; the reasons, path by path. The lane goes on trying.
    case notReady(DiskID, [PathProblem])
    /// A session stands. What a successor needs to know of it: its portal group.
    case sessionBegan(SessionName, portalGroupTag: UInt16?)
    /// A path has let go of its session for ever. `unfenced` are the LUN fields to which it may still be
    /// writing.
    case sessionEnded(SessionName, recordNumber: UInt64, unfenced: Set<UInt64>)
    case pathChanged(DiskID, interface: String, portal: String, isUp: Bool, reason: String)
    /// A path that was to be removed is gone; its disk lives on.
    case pathRemoved(DiskID, SessionName, path: String)
    /// An NBD client went away; `requested` if it said so with DISC.
    case clientGone(DiskID, requested: Bool)
    /// The target restarted with acknowledged writes in its cache; `isTold` when a FLUSH of a client has
    /// ended with an error for it. A successor has to know.
    case writesLost(DiskID, isTold: Bool)
    /// A flush that was asked for with `flush`, or the last one of a disk, has ended.
    case flushed(DiskID, error: NBDError)
    /// The disk's registration has changed: a successor has to know.
    case registrationChanged(DiskID, DiskRegistration?)
    /// What came of a `reserve`.
    case reservationEnded(DiskID, ticket: UInt64, Result<ReservationReport, ReservationError>)
    /// All paths that carry the disk show this size, which is not the disk's.
    case sizeChanged(DiskID, sizeBytes: UInt64)
    /// `isFlushed` unless its last flush failed.
    case detached(DiskID, isFlushed: Bool)
    /// What happened to a disk, for the log and for its status.
    case disk(DiskID, severity: Severity, text: String)
    /// A line for the log.
    case event(severity: Severity, text: String)

    public enum Severity: Sendable { case information, warning, error }
}
