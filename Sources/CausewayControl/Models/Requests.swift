/// The parameters of `io.causeway.Discover`.
public struct DiscoverRequest: Codable, Equatable, Sendable {
    public var portals: [PortalAddress]
    /// Names of the bound interfaces to discover through; empty: as the routing table says.
    public var interfaces: [String]
    /// Log in to each target and describe its LUNs too.
    public var luns: Bool
    /// nil: as the configuration says.
    public var chap: CHAPRequest?

    public init(
        portals: [PortalAddress], interfaces: [String] = [], luns: Bool = false, chap: CHAPRequest? = nil
    ) {
        self.portals = portals
        self.interfaces = interfaces
        self.luns = luns
        self.chap = chap
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        portals = try values.decode([PortalAddress].self, forKey: .portals)
        interfaces = try values.decodeIfPresent([String].self, forKey: .interfaces) ?? []
        luns = try values.decodeIfPresent(Bool.self, forKey: .luns) ?? false
        chap = try values.decodeIfPresent(CHAPRequest.self, forKey: .chap)
    }

    /// What can be judged without a network.
    public func validate() throws(ControlError) {
        try chap?.validate()
        try RequestLimits.check(portals: portals)
        try RequestLimits.check(interfaces: interfaces)
    }
}

/// The parameters of `io.causeway.Attach`.
public struct AttachRequest: Codable, Equatable, Sendable {
    public var name: DiskName
    /// The target's iSCSI name.
    public var target: String
    /// Empty: those that the discovery address lists for the target.
    public var portals: [PortalAddress]
    /// The address that the target was found at: the disk inherits its settings.
    public var discovery: PortalAddress?
    /// Names of the bound interfaces; empty: one path a portal, as the routing table says.
    public var interfaces: [String]
    public var lun: UInt64
    /// Absolute path of the Unix socket to export on; nil: a kernel device.
    public var socket: String?
    public var readOnly: Bool
    /// Attach a LUN that this machine already has by another way.
    public var force: Bool
    /// The same as the setting `policy`.
    public var policy: String?
    /// Settings by key, as `causeway set` takes them.
    public var settings: [String: String]
    /// Commands in flight a path at most; nil: the daemon's default.
    public var queueDepth: UInt32?
    /// Interfaces that are not there yet, or have no address, get their paths when they appear; at least one
    /// must be there.
    public var waitForInterfaces: Bool
    /// Write the disk's file, so that the disk is attached whenever the daemon runs.
    public var persist: Bool
    /// Sockets and hardware queues of the kernel's device, and sessions a path; nil: one.
    public var queues: UInt32?
    /// nil: as the configuration says.
    public var chap: CHAPRequest?

    public init(
        name: DiskName, target: String, portals: [PortalAddress], discovery: PortalAddress? = nil,
        interfaces: [String] = [], lun: UInt64,
        socket: String? = nil, readOnly: Bool = false, force: Bool = false, policy: String? = nil,
        settings: [String: String] = [:], queueDepth: UInt32? = nil, waitForInterfaces: Bool = false,
        persist: Bool = false, queues: UInt32? = nil,
        chap: CHAPRequest? = nil
    ) {
        self.name = name
        self.target = target
        self.portals = portals
        self.discovery = discovery
        self.interfaces = interfaces
        self.lun = lun
        self.socket = socket
        self.readOnly = readOnly
        self.force = force
        self.policy = policy
        self.settings = settings
        self.queueDepth = queueDepth
        self.waitForInterfaces = waitForInterfaces
        self.persist = persist
        self.queues = queues
        self.chap = chap
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(DiskName.self, forKey: .name)
        target = try values.decode(String.self, forKey: .target)
        discovery = try values.decodeIfPresent(PortalAddress.self, forKey: .discovery)
        portals = try values.decodeIfPresent([PortalAddress].self, forKey: .portals) ?? []
        interfaces = try values.decodeIfPresent([String].self, forKey: .interfaces) ?? []
        lun = try values.decode(UInt64.self, forKey: .lun)
        socket = try values.decodeIfPresent(String.self, forKey: .socket)
        readOnly = try values.decodeIfPresent(Bool.self, forKey: .readOnly) ?? false
        force = try values.decodeIfPresent(Bool.self, forKey: .force) ?? false
        policy = try values.decodeIfPresent(String.self, forKey: .policy)
        settings = try values.decodeIfPresent([String: String].self, forKey: .settings) ?? [:]
        queueDepth = try values.decodeIfPresent(UInt32.self, forKey: .queueDepth)
        waitForInterfaces = try values.decodeIfPresent(Bool.self, forKey: .waitForInterfaces) ?? false
        persist = try values.decodeIfPresent(Bool.self, forKey: .persist) ?? false
        queues = try values.decodeIfPresent(UInt32.self, forKey: .queues)
        chap = try values.decodeIfPresent(CHAPRequest.self, forKey: .chap)
    }

    /// What can be judged without a network.
    public func validate() throws(ControlError) {
        if discovery == nil || !portals.isEmpty { try RequestLimits.check(portals: portals) }
        try RequestLimits.check(interfaces: interfaces)
        try RequestLimits.check(target: target)
        try chap?.validate()
        if let socket { try RequestLimits.check(socket: socket) }
        try RequestLimits.check(settings: allSettings)
        guard policy == nil || settings["policy"] == nil else {
            throw .invalidArgument("the policy is given twice", remedy: "give it once")
        }
        if let queueDepth, !RequestLimits.queueDepths.contains(queueDepth) {
            let range = RequestLimits.queueDepths
            throw .invalidArgument(
                "a queue depth of \(queueDepth) is not possible",
                remedy: "choose one from \(range.lowerBound) to \(range.upperBound)")
        }
        if let queues, !RequestLimits.queues.contains(queues) {
            let range = RequestLimits.queues
            throw .invalidArgument(
                "\(queues) queues are not possible",
                remedy: "choose a number from \(range.lowerBound) to \(range.upperBound)")
        }
    }
}

extension AttachRequest {
    public var queueCount: Int { Int(queues ?? 1) }

    /// The settings, the policy among them.
    public var allSettings: [String: String] {
        var all = settings
        if let policy { all["policy"] = policy }
        return all
    }
}

/// The parameters of `io.causeway.Set`.
public struct SetRequest: Codable, Equatable, Sendable {
    public var name: DiskName
    /// Settings by key; those that are not named stay as they are.
    public var settings: [String: String]

    public init(name: DiskName, settings: [String: String]) {
        self.name = name
        self.settings = settings
    }

    /// What can be judged without the disk.
    public func validate() throws(ControlError) {
        guard !settings.isEmpty else {
            throw .invalidArgument("no setting is given", remedy: "name at least one, such as policy")
        }
        try RequestLimits.check(settings: settings)
    }
}

/// The parameters of `io.causeway.AddPaths`.
public struct AddPathsRequest: Codable, Equatable, Sendable {
    public var name: DiskName
    /// Empty: the interfaces that the disk has.
    public var interfaces: [String]
    /// Empty: the portals that the disk has.
    public var portals: [PortalAddress]

    public init(name: DiskName, interfaces: [String] = [], portals: [PortalAddress] = []) {
        self.name = name
        self.interfaces = interfaces
        self.portals = portals
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(DiskName.self, forKey: .name)
        interfaces = try values.decodeIfPresent([String].self, forKey: .interfaces) ?? []
        portals = try values.decodeIfPresent([PortalAddress].self, forKey: .portals) ?? []
    }

    /// What can be judged without the disk.
    public func validate() throws(ControlError) {
        guard !interfaces.isEmpty || !portals.isEmpty else {
            throw .invalidArgument(
                "neither an interface nor a portal is given", remedy: "name what is to be added")
        }
        if !portals.isEmpty { try RequestLimits.check(portals: portals) }
        try RequestLimits.check(interfaces: interfaces)
    }
}

/// The parameters of `io.causeway.RemovePaths`, `DisablePaths` and `EnablePaths`.
public struct ChangePathsRequest: Codable, Equatable, Sendable {
    public var name: DiskName
    /// Each an interface, a portal, or both with a slash between: it stands for every path that it fits.
    public var paths: [String]
    /// Also when no path that works is left.
    public var force: Bool

    public init(name: DiskName, paths: [String], force: Bool = false) {
        self.name = name
        self.paths = paths
        self.force = force
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(DiskName.self, forKey: .name)
        paths = try values.decode([String].self, forKey: .paths)
        force = try values.decodeIfPresent(Bool.self, forKey: .force) ?? false
    }

    /// What can be judged without the disk.
    public func validate() throws(ControlError) {
        guard !paths.isEmpty, paths.count <= RequestLimits.countMax,
            paths.allSatisfy({ (1...RequestLimits.settingBytesMax).contains($0.utf8.count) })
        else {
            throw .invalidArgument(
                "no path is named, or too many", remedy: "name 1 to \(RequestLimits.countMax) paths")
        }
    }
}

/// The parameters of `io.causeway.Detach`.
public struct DetachRequest: Codable, Equatable, Sendable {
    public var name: DiskName
    /// Detach although the device is in use, and answer what it still waits for with an error.
    public var force: Bool
    /// Remove the disk's file too. A disk that is configured and not attached can be forgotten as well.
    public var forget: Bool

    public init(name: DiskName, force: Bool = false, forget: Bool = false) {
        self.name = name
        self.force = force
        self.forget = forget
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(DiskName.self, forKey: .name)
        force = try values.decodeIfPresent(Bool.self, forKey: .force) ?? false
        forget = try values.decodeIfPresent(Bool.self, forKey: .forget) ?? false
    }
}

/// The parameters of `io.causeway.AttachConfigured`.
public struct AttachConfiguredRequest: Codable, Equatable, Sendable {
    public var name: DiskName

    public init(name: DiskName) {
        self.name = name
    }
}

/// The parameters of `io.causeway.Status`.
public struct StatusRequest: Codable, Equatable, Sendable {
    public var name: DiskName

    public init(name: DiskName) {
        self.name = name
    }
}

/// The parameters of `io.causeway.Rescan`.
public struct RescanRequest: Codable, Equatable, Sendable {
    public var name: DiskName
    /// Make the disk smaller if its LUN is: what its file system keeps beyond is lost.
    public var allowShrink: Bool

    public init(name: DiskName, allowShrink: Bool = false) {
        self.name = name
        self.allowShrink = allowShrink
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(DiskName.self, forKey: .name)
        allowShrink = try values.decodeIfPresent(Bool.self, forKey: .allowShrink) ?? false
    }
}
