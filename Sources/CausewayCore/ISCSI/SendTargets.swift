/// A portal of a discovered target.
public struct DiscoveredPortal: Hashable, Sendable, CustomStringConvertible {
    public let address: PortalAddress
    /// Portals of one group can share a session. A target that leaves the tag out gets 1, as everyone reads
    /// it.
    public let groupTag: UInt16

    public init(address: PortalAddress, groupTag: UInt16) {
        self.address = address
        self.groupTag = groupTag
    }

    public var host: String { address.host }
    public var port: UInt16 { address.port }
    public var description: String { "\(address),\(groupTag)" }

    /// Reads `host[:port],tag` (RFC 7143 §13.8).
    public init?(_ text: String) {
        let parts = text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = PortalAddress(first) else { return nil }
        self.address = address
        if parts.count == 2 {
            guard let tag = TextValue.number(String(parts[1])), let tag = UInt16(exactly: tag) else {
                return nil
            }
            groupTag = tag
        } else {
            groupTag = 1
        }
    }
}

/// A target as SendTargets lists it. No portals means: the portal that was asked.
public struct DiscoveredTarget: Equatable, Sendable {
    public let name: ISCSIName
    public internal(set) var portals: [DiscoveredPortal]

    public init(name: ISCSIName, portals: [DiscoveredPortal]) {
        self.name = name
        self.portals = portals
    }
}

/// The SendTargets response (RFC 7143 Appendix C).
public struct SendTargetsResponse: Equatable, Sendable {
    public static let maximumTargetCount = 65536
    public static let maximumPortalCount = 1024

    /// In the order of the target; a name that comes twice is one target.
    public private(set) var targets: [DiscoveredTarget] = []
    /// Names and addresses that could not be read, escaped for display: one bad entry must not hide the
    /// others.
    public private(set) var unreadable: [String] = []

    /// - Parameter text: the data segments of all Text Responses, joined.
    public init(_ text: [UInt8]) throws(SendTargetsError) {
        var reader = TextPairReader(text)
        var indices: [ISCSIName: Int] = [:]
        var current: Int?
        var sawTarget = false
        while let pair = try Self.next(&reader) {
            switch TextKey(name: pair.key) {
            case .targetName:
                sawTarget = true
                guard let name = try? ISCSIName(pair.value) else {
                    current = nil
                    try note(pair)
                    continue
                }
                if let index = indices[name] {
                    current = index
                    continue
                }
                guard targets.count < Self.maximumTargetCount else {
                    throw .tooManyTargets(Self.maximumTargetCount)
                }
                indices[name] = targets.count
                current = targets.count
                targets.append(DiscoveredTarget(name: name, portals: []))
            case .targetAddress:
                guard sawTarget else { throw .addressBeforeName }
                guard let current else { continue }
                guard let portal = DiscoveredPortal(pair.value) else {
                    try note(pair)
                    continue
                }
                if targets[current].portals.contains(portal) { continue }
                guard targets[current].portals.count < Self.maximumPortalCount else {
                    throw .tooManyPortals(Self.maximumPortalCount)
                }
                targets[current].portals.append(portal)
            default:
                if pair.key == "SendTargets", TextValue.isReservedAnswer(pair.value) {
                    throw .refused(pair.value)
                }
                try note(pair)
            }
        }
    }

    private static func next(_ reader: inout TextPairReader) throws(SendTargetsError) -> TextPair? {
        do throws(TextError) { return try reader.next() } catch { throw .malformedText(error) }
    }

    private mutating func note(_ pair: TextPair) throws(SendTargetsError) {
        guard unreadable.count < Self.maximumPortalCount else { throw .tooMuchUnreadable }
        unreadable.append(printable("\(pair.key)=\(pair.value)"))
    }
}

/// Why a SendTargets response is of no use. Always the target's fault.
public enum SendTargetsError: Error, Equatable, Sendable, CustomStringConvertible {
    case malformedText(TextError)
    case addressBeforeName
    case tooManyTargets(Int)
    case tooManyPortals(Int)
    case tooMuchUnreadable
    case refused(String)

    public var description: String {
        switch self {
        case .malformedText(let error): error.description
        case .addressBeforeName: "the target listed an address that belongs to no target name"
        case .tooManyTargets(let limit): "the target listed more than \(limit) targets"
        case .tooManyPortals(let limit): "the target listed more than \(limit) portals of one target"
        case .tooMuchUnreadable: "the target's list holds too many entries that cannot be read"
        case .refused(let answer): "the target answered SendTargets=\(answer)"
        }
    }
}
