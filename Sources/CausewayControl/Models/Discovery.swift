/// The result of `io.causeway.Discover`.
public struct Discovery: Codable, Equatable, Sendable {
    public var targets: [TargetReport]
    /// One sentence for each portal, interface or login that gave no answer.
    public var problems: [String]

    public init(targets: [TargetReport], problems: [String] = []) {
        self.targets = targets
        self.problems = problems
    }
}

/// A target as SendTargets (RFC 7143 appendix C) names it.
public struct TargetReport: Codable, Equatable, Sendable {
    public var name: String
    public var portals: [PortalReport]
    /// Empty unless the LUNs were asked for.
    public var luns: [LUNReport]

    public init(name: String, portals: [PortalReport], luns: [LUNReport] = []) {
        self.name = name
        self.portals = portals
        self.luns = luns
    }
}

/// A portal of a target, as SendTargets names it.
public struct PortalReport: Codable, Equatable, Sendable {
    /// An IP address without brackets, or the host name that the target gave.
    public var address: String
    public var port: UInt16
    /// The target portal group tag.
    public var groupTag: UInt16
    /// The bound interface through which the portal was learned; nil without binding.
    public var interface: String?

    public init(address: String, port: UInt16, groupTag: UInt16, interface: String? = nil) {
        self.address = address
        self.port = port
        self.groupTag = groupTag
        self.interface = interface
    }
}

/// A logical unit of a target, as far as it could be asked.
public struct LUNReport: Codable, Equatable, Sendable {
    public var lun: UInt64
    public var sizeBytes: UInt64?
    /// Bytes of a logical block.
    public var blockLength: UInt32?
    public var vendor: String?
    public var model: String?
    public var serial: String?
    /// The identity from VPD page 0x83, such as `naa.600140…`.
    public var wwid: String?
    /// Why the rest is absent.
    public var error: String?

    public init(
        lun: UInt64, sizeBytes: UInt64? = nil, blockLength: UInt32? = nil, vendor: String? = nil,
        model: String? = nil, serial: String? = nil, wwid: String? = nil, error: String? = nil
    ) {
        self.lun = lun
        self.sizeBytes = sizeBytes
        self.blockLength = blockLength
        self.vendor = vendor
        self.model = model
        self.serial = serial
        self.wwid = wwid
        self.error = error
    }
}
