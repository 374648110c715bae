import CausewayControl
import CausewayCore
import LinuxSystem

/// A path that is to be made: one bound interface x one portal.
struct PlannedPath: Hashable, Sendable {
    /// nil: unbound, as the routing table says.
    var interface: String?
    /// An address of `interface`; nil where the path is unbound.
    var source: IPAddress?
    var portal: SocketAddress
    var isid: InitiatorSessionID
    /// Of the disk's queues the one whose session it is.
    var queue = 0

    /// The same way in the session of another queue.
    func inQueue(
        _ queue: Int, _ multipathing: Multipathing, _ identity: SessionIdentity
    ) -> PlannedPath {
        var path = self
        path.queue = queue
        path.isid = identity.isid(multipathing, interface: interface, portal: portal, lane: queue)
        return path
    }

    /// Whether it leads the same way in the same session; its source address may be another.
    func isSamePath(as other: PlannedPath) -> Bool {
        interface == other.interface && portal == other.portal && isid == other.isid
    }

    /// As the lane names it.
    var name: String { interface.map { "\($0)/\(portal)" } ?? "\(portal)" }

    var route: Route { Route(interface: interface, source: source, to: portal) }
}

/// Which bound interfaces reach which portals, before anything is sent.
///
/// A portal inside a subnet of some of the interfaces is paired with these alone: through another one,
/// packets would take a detour over a router, or nowhere. A portal inside none of their subnets is routed,
/// and paired with all.
struct PathPlan: Equatable, Sendable {
    /// By interface as they were asked for, then by portal, then by queue.
    var paths: [PlannedPath] = []
    /// Pairs that make no path although interface and portal are usable each.
    var leftOut: [LeftOutPair] = []
    /// Why interfaces that were asked for can make no path at all.
    var unusable: [UnusableInterface] = []

    struct UnusableInterface: Equatable, Sendable {
        var interface: String
        var error: ControlError
    }

    /// An interface and a portal that are not paired.
    struct LeftOutPair: Hashable, Sendable, CustomStringConvertible {
        enum Reason: Hashable, Sendable {
            /// The portal is in the subnet of these interfaces.
            case nearer([String])
            case noAddress(IPAddress.Family)
        }
        var interface: String
        var portal: SocketAddress
        var reason: Reason

        var description: String {
            switch reason {
            case .nearer(let others):
                "\(portal) is in the subnet of \(others.joined(separator: ", ")), "
                    + "so no path leads there through \(interface)"
            case .noAddress(let family):
                "\(interface) has no \(family.name) address, so no path leads through it to \(portal)"
            }
        }
    }

    /// Plans for the interfaces and the identity that this machine has now. Throws for the first interface
    /// that can make no path; with `mayWait` only if none can.
    static func make(
        interfaces: [String], portals: [SocketAddress], _ multipathing: Multipathing, queues: Int,
        mayWait: Bool = false
    ) throws(ControlError) -> PathPlan {
        let identity = SessionIdentity.ofThisMachine()
        let present = interfaces.isEmpty ? [] : try presentInterfaces()
        var plan = PathPlan(interfaces: interfaces, portals: portals, present: present) {
            identity.isid(multipathing, interface: $0, portal: $1, lane: 0)
        }
        if let first = plan.unusable.first {
            guard mayWait, !plan.paths.isEmpty else { throw first.error }
            plan.leaveToWaiting(present)
        }
        plan.multiply(queues, multipathing, identity)
        return plan
    }

    /// A session in each of the queues for every path.
    mutating func multiply(_ queues: Int, _ multipathing: Multipathing, _ identity: SessionIdentity) {
        paths = paths.flatMap { path in
            (0..<queues).map { path.inQueue($0, multipathing, identity) }
        }
    }

    static func presentInterfaces() throws(ControlError) -> [NetworkInterface] {
        do throws(SystemError) {
            return try NetworkInterfaces.list()
        } catch {
            throw .internalFailure("the network interfaces cannot be listed: \(error)")
        }
    }

    /// - Parameters:
    ///   - interfaces: names; none: one unbound path a portal.
    ///   - portals: a portal that comes twice counts once.
    ///   - present: the interfaces of this machine.
    ///   - isid: the ISID of a path.
    init(
        interfaces: [String], portals: [SocketAddress], present: [NetworkInterface],
        isid: (_ interface: String?, _ portal: SocketAddress) -> InitiatorSessionID
    ) {
        var known: Set<SocketAddress> = []
        let portals = portals.filter { known.insert($0).inserted }
        guard !interfaces.isEmpty else {
            paths = portals.map { PlannedPath(portal: $0, isid: isid(nil, $0)) }
            return
        }
        let wanted = interfaces.compactMap { name in present.first { $0.link.name == name } }
        for name in interfaces {
            guard let interface = wanted.first(where: { $0.link.name == name }) else {
                unusable.append(UnusableInterface(interface: name, error: .noSuchInterface(name)))
                continue
            }
            guard interface.link.isUp else {
                unusable.append(UnusableInterface(interface: name, error: .interfaceDown(name)))
                continue
            }
            pair(interface, portals, among: wanted, isid)
        }
    }

    /// Leaves portals to the interfaces that are still to come, if those present are in the subnets of
    /// others: what would be made now leads over a router, and is not wanted later.
    private mutating func leaveToWaiting(_ present: [NetworkInterface]) {
        let near = paths.filter { path in
            present.contains { $0.link.name == path.interface && $0.isNear(path.portal.address) }
        }
        if !near.isEmpty { paths = near }
    }

    private mutating func pair(
        _ interface: NetworkInterface, _ portals: [SocketAddress], among wanted: [NetworkInterface],
        _ isid: (String?, SocketAddress) -> InitiatorSessionID
    ) {
        let name = interface.link.name
        var without: [LeftOutPair] = []
        var isUsable = portals.isEmpty
        for portal in portals {
            let nearer = wanted.filter { $0.isNear(portal.address) }
            if !nearer.isEmpty, !nearer.contains(where: { $0.link.index == interface.link.index }) {
                // An interface of the wrong subnet is still an interface with an address.
                if interface.sourceAddress(toward: portal.address) != nil { isUsable = true }
                let names = nearer.map(\.link.name)
                without.append(LeftOutPair(interface: name, portal: portal, reason: .nearer(names)))
            } else if let source = interface.sourceAddress(toward: portal.address) {
                isUsable = true
                paths.append(
                    PlannedPath(
                        interface: name, source: source.address, portal: portal, isid: isid(name, portal)))
            } else {
                let family = portal.address.family
                without.append(LeftOutPair(interface: name, portal: portal, reason: .noAddress(family)))
            }
        }
        guard !isUsable else {
            leftOut += without
            return
        }
        let families = Set(portals.map(\.address.family)).map(\.name).sorted().joined(separator: " or ")
        unusable.append(
            UnusableInterface(
                interface: name, error: .interfaceWithoutAddress(name, family: families)))
    }
}

extension NetworkInterface {
    /// Whether an address that can be used now is in the same subnet as `destination`.
    fileprivate func isNear(_ destination: IPAddress) -> Bool {
        guard link.isUp else { return false }
        if destination.family == .v6, destination.isLinkLocal, destination.scope != 0 {
            return destination.scope == link.index
        }
        return addresses.contains {
            $0.isUsable && $0.address.hasSamePrefix(as: destination, length: $0.prefixLength)
        }
    }
}

extension IPAddress.Family {
    /// `IPv4` or `IPv6`.
    var name: String { self == .v4 ? "IPv4" : "IPv6" }
}

extension ControlError {
    /// The kind of an interface without an address: an interface that is down has none to use.
    static func interfaceDown(_ interface: String) -> ControlError {
        ControlError(
            kind: .interfaceWithoutAddress, message: "the interface \(interface) is down",
            remedy: "switch it on with: ip link set \(interface) up")
    }
}
