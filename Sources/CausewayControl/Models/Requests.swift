/// The parameters of `io.causeway.Discover`.
public struct DiscoverRequest: Codable, Equatable, Sendable {
    public var portals: [PortalAddress]
    /// Names of the bound interfaces to discover through; empty: as the routing table says.
    public var interfaces: [String]
    /// Log in to each target and describe its LUNs too.
    public var luns: Bool

    public init(portals: [PortalAddress], interfaces: [String] = [], luns: Bool = false) {
        self.portals = portals
        self.interfaces = interfaces
        self.luns = luns
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        portals = try values.decode([PortalAddress].self, forKey: .portals)
        interfaces = try values.decodeIfPresent([String].self, forKey: .interfaces) ?? []
        luns = try values.decodeIfPresent(Bool.self, forKey: .luns) ?? false
    }

    /// What can be judged without a network.
    public func validate() throws(ControlError) {
        try RequestLimits.check(portals: portals)
        try RequestLimits.check(interfaces: interfaces)
    }
}

/// The parameters of `io.causeway.Attach`.
public struct AttachRequest: Codable, Equatable, Sendable {
    public var name: DiskName
    /// The target's iSCSI name.
    public var target: String
    public var portals: [PortalAddress]
    /// Names of the bound interfaces; empty: one path a portal, as the routing table says.
    public var interfaces: [String]
    public var lun: UInt64
    /// Absolute path of the Unix socket to export on; nil: a kernel device.
    public var socket: String?
    public var readOnly: Bool
    /// Attach a LUN that this machine already has by another way.
    public var force: Bool
    /// A policy as `causeway attach --policy` takes it; nil: `round-robin`.
    public var policy: String?
    /// Commands in flight a path at most; nil: the daemon's default.
    public var queueDepth: UInt32?

    public init(
        name: DiskName, target: String, portals: [PortalAddress], interfaces: [String] = [], lun: UInt64,
        socket: String? = nil, readOnly: Bool = false, force: Bool = false, policy: String? = nil,
        queueDepth: UInt32? = nil
    ) {
        self.name = name
        self.target = target
        self.portals = portals
        self.interfaces = interfaces
        self.lun = lun
        self.socket = socket
        self.readOnly = readOnly
        self.force = force
        self.policy = policy
        self.queueDepth = queueDepth
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(DiskName.self, forKey: .name)
        target = try values.decode(String.self, forKey: .target)
        portals = try values.decode([PortalAddress].self, forKey: .portals)
        interfaces = try values.decodeIfPresent([String].self, forKey: .interfaces) ?? []
        lun = try values.decode(UInt64.self, forKey: .lun)
        socket = try values.decodeIfPresent(String.self, forKey: .socket)
        readOnly = try values.decodeIfPresent(Bool.self, forKey: .readOnly) ?? false
        force = try values.decodeIfPresent(Bool.self, forKey: .force) ?? false
        policy = try values.decodeIfPresent(String.self, forKey: .policy)
        queueDepth = try values.decodeIfPresent(UInt32.self, forKey: .queueDepth)
    }

    /// What can be judged without a network.
    public func validate() throws(ControlError) {
        try RequestLimits.check(portals: portals)
        try RequestLimits.check(interfaces: interfaces)
        try RequestLimits.check(target: target)
        if let socket { try RequestLimits.check(socket: socket) }
        if let queueDepth, !RequestLimits.queueDepths.contains(queueDepth) {
            let range = RequestLimits.queueDepths
            throw .invalidArgument(
                "a queue depth of \(queueDepth) is not possible",
                remedy: "choose one from \(range.lowerBound) to \(range.upperBound)")
        }
    }
}

/// The parameters of `io.causeway.Detach`.
public struct DetachRequest: Codable, Equatable, Sendable {
    public var name: DiskName
    /// Detach although the device is in use, and answer what it still waits for with an error.
    public var force: Bool

    public init(name: DiskName, force: Bool = false) {
        self.name = name
        self.force = force
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(DiskName.self, forKey: .name)
        force = try values.decodeIfPresent(Bool.self, forKey: .force) ?? false
    }
}

/// The parameters of `io.causeway.Status`.
public struct StatusRequest: Codable, Equatable, Sendable {
    public var name: DiskName

    public init(name: DiskName) {
        self.name = name
    }
}
