/// What a lane wants done outside.
public enum LaneEffect: Sendable {
    /// Open a TCP connection on a route and report `connected` or `connectFailed`.
    case connect(StreamID, route: RouteID)
    /// The lane has let go of this stream: close its descriptor, and report nothing more of it.
    case close(StreamID)
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

/// News for the supervisor.
public enum LaneNotice: Sendable {
    /// The first path is up and has shown the LUN: the disk may be exported.
    case ready(DiskID, DiskDescription)
    /// Every path was tried once and none showed the LUN; the reasons, path by path. The lane goes on trying.
    case notReady(DiskID, [PathProblem])
    case pathChanged(DiskID, interface: String, portal: String, isUp: Bool, reason: String)
    /// An NBD client went away; `requested` if it said so with DISC.
    case clientGone(DiskID, requested: Bool)
    /// `isClean` unless it left sent writes without a fence.
    case detached(DiskID, isClean: Bool)
    /// A line for the log.
    case event(severity: Severity, text: String)

    public enum Severity: Sendable { case information, warning, error }
}
