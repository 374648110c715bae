import CausewayControl
import CausewayCore
import LinuxSystem

/// The targets that several portals listed, each target once.
struct TargetCatalog {
    struct Target: Sendable {
        let name: ISCSIName
        fileprivate(set) var report: TargetReport
        /// The lists that held the target.
        fileprivate(set) var sources: [Source]
    }

    /// One list that held a target.
    struct Source: Sendable {
        var route: Route
        /// As the target gave them.
        var portals: [DiscoveredPortal]
    }

    private(set) var targets: [Target] = []
    /// What could not be read in the lists.
    private(set) var problems: [String] = []
    private var places: [ISCSIName: Int] = [:]

    /// Adds a list that was learned over `route`.
    mutating func add(_ list: SendTargetsResponse, from route: Route) {
        for found in list.targets {
            let portals = Self.portals(of: found, from: route)
            let place = places[found.name] ?? targets.count
            if place == targets.count {
                places[found.name] = place
                targets.append(
                    Target(
                        name: found.name, report: TargetReport(name: found.name.text, portals: []),
                        sources: []))
            }
            targets[place].sources.append(Source(route: route, portals: portals))
            for portal in portals {
                let report = PortalReport(
                    address: portal.host, port: portal.port, groupTag: portal.groupTag,
                    interface: route.interface)
                if !targets[place].report.portals.contains(report) {
                    targets[place].report.portals.append(report)
                }
            }
        }
        if !list.unreadable.isEmpty {
            let interface = route.interface.map { " through \($0)" } ?? ""
            let entries = list.unreadable.prefix(3).joined(separator: ", ")
            let more = list.unreadable.count > 3 ? " and \(list.unreadable.count - 3) more" : ""
            problems.append(
                "the portal \(route.destination)\(interface) lists what cannot be read: \(entries)\(more)")
        }
    }

    /// Without an address, the one that was asked is meant (RFC 7143 Appendix C); some targets say so with
    /// an address of zeros.
    private static func portals(of target: DiscoveredTarget, from route: Route) -> [DiscoveredPortal] {
        let asked = route.destination
        func here(_ port: UInt16, _ tag: UInt16) -> DiscoveredPortal {
            DiscoveredPortal(
                address: CausewayCore.PortalAddress(host: "\(asked.address)", port: port), groupTag: tag)
        }
        if target.portals.isEmpty { return [here(asked.port, 1)] }
        return target.portals.map { portal in
            IPAddress(parsing: portal.host)?.isUnspecified == true
                ? here(portal.port, portal.groupTag) : portal
        }
    }
}

extension TargetCatalog.Target {
    /// Where to log in, the surest first: the portals that answered and are the target's, then the others
    /// of the target that the same interface reaches. Portals given by name are left out: the target's
    /// names are the target's network's.
    func routes(_ present: [NetworkInterface]) -> [Route] {
        var sure: [Route] = []
        var others: [Route] = []
        for source in sources {
            let addresses = source.portals.compactMap { portal in
                IPAddress(parsing: portal.host).map { SocketAddress($0, port: portal.port) }
            }
            for address in addresses {
                if address == source.route.destination {
                    sure.append(source.route)
                } else if let route = source.route.leading(to: address, present) {
                    others.append(route)
                }
            }
            // The list may show addresses that lead here from elsewhere only.
            others.append(source.route)
        }
        var known: Set<Route> = []
        return (sure + others).filter { known.insert($0).inserted }
    }
}

extension Route {
    /// Over the same interface to another portal; nil if the interface has no address for it.
    fileprivate func leading(to portal: SocketAddress, _ present: [NetworkInterface]) -> Route? {
        guard let interface else { return Route(to: portal) }
        guard
            let source = present.first(where: { $0.link.name == interface })?
                .sourceAddress(toward: portal.address)
        else { return nil }
        return Route(interface: interface, source: source.address, to: portal)
    }
}
