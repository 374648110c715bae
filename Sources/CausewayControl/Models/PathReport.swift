/// A path of a disk: one bound interface x one portal of its target.
public struct PathReport: Codable, Equatable, Sendable {
    /// nil without binding.
    public var interface: String?
    /// The address that the connection comes from; nil while there is none.
    public var sourceAddress: String?
    public var portal: PortalAddress
    /// nil until a login has told it.
    public var portalGroupTag: UInt16?
    public var state: PathState
    /// Why it is not active.
    public var reason: String?
    /// Commands sent and not answered.
    public var inFlight: UInt32
    /// Commands answered.
    public var ios: UInt64
    public var readBytes: UInt64
    public var writtenBytes: UInt64
    /// Mean from sending to answer.
    public var latencyMicroseconds: UInt64
    public var latencyP99Microseconds: UInt64?
    /// Commands that failed on this path, whatever came of them later.
    public var errors: UInt64
    /// PDUs that came damaged at one end or the other, as their digests showed.
    public var digestErrors: UInt64
    /// Fences that were taken against this path's sessions.
    public var fences: UInt64
    /// Which proof the newest fence took.
    public var lastFence: String?
    /// The target port group (SPC-4 §5.15) that it leads to; nil without asymmetric access.
    public var accessGroup: UInt16?
    /// The state of that group, such as `active/optimized`.
    public var accessState: String?
    /// The target would have its I/O go through that group.
    public var preferred: Bool
    public var health: PathHealthReport

    public init(
        interface: String? = nil, sourceAddress: String? = nil, portal: PortalAddress,
        portalGroupTag: UInt16? = nil,
        state: PathState, reason: String? = nil, inFlight: UInt32 = 0, ios: UInt64 = 0, readBytes: UInt64 = 0,
        writtenBytes: UInt64 = 0, latencyMicroseconds: UInt64 = 0, latencyP99Microseconds: UInt64? = nil,
        errors: UInt64 = 0, digestErrors: UInt64 = 0, fences: UInt64 = 0, lastFence: String? = nil,
        accessGroup: UInt16? = nil, accessState: String? = nil, preferred: Bool = false,
        health: PathHealthReport = PathHealthReport()
    ) {
        self.interface = interface
        self.sourceAddress = sourceAddress
        self.portal = portal
        self.portalGroupTag = portalGroupTag
        self.state = state
        self.reason = reason
        self.inFlight = inFlight
        self.ios = ios
        self.readBytes = readBytes
        self.writtenBytes = writtenBytes
        self.latencyMicroseconds = latencyMicroseconds
        self.latencyP99Microseconds = latencyP99Microseconds
        self.errors = errors
        self.digestErrors = digestErrors
        self.fences = fences
        self.lastFence = lastFence
        self.accessGroup = accessGroup
        self.accessState = accessState
        self.preferred = preferred
        self.health = health
    }
}
