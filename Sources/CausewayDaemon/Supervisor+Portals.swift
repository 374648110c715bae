import CausewayConfiguration
import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import Synchronization

/// Portals that a target has beside those of its disks. An array that gets another port tells nobody, so it
/// is asked now and then (SendTargets), as vSphere's dynamic discovery does.
extension Supervisor {
    private static let tickMilliseconds = 1000
    /// Attaching is what counts at first.
    private static let firstMilliseconds: UInt64 = 5000

    /// Returns the milliseconds until the next time.
    func lookForPortals() -> Int {
        let now = LinuxSystem.MonotonicClock.now()
        var due: [AttachedDisk] = []
        for disk in state.withLock({ Array($0.disks.values) }) {
            guard let settings = disk.portals(now), settings.discovery != .ignore else { continue }
            let isInLanes = disk.isInLanes
            let isDue = disk.state.withLock { state in
                guard isInLanes, !state.isDetaching else { return false }
                let next = state.nextDiscovery ?? now.adding(milliseconds: Self.firstMilliseconds)
                state.nextDiscovery =
                    next <= now ? now.adding(milliseconds: settings.intervalMilliseconds) : next
                return next <= now
            }
            if isDue { due.append(disk) }
        }
        for disks in Dictionary(grouping: due, by: \.target).values { lookForPortals(disks) }
        askDiscoveryAddresses(now)
        return Self.tickMilliseconds
    }

    /// Asks the target of these disks, through what they use of it already.
    func lookForPortals(_ disks: [AttachedDisk]) {
        guard let target = disks.first?.target else { return }
        var portals: [SocketAddress] = []
        var interfaces: [String] = []
        for disk in disks {
            let wanted = disk.state.withLock { $0.wanted }
            portals += wanted.portals.filter { !portals.contains($0) }
            let there = wanted.interfaces.filter { !wanted.waiting.contains($0) }
            interfaces += there.filter { !interfaces.contains($0) }
        }
        let request = DiscoverRequest(
            portals: portals.compactMap { try? CausewayControl.PortalAddress(parsing: "\($0)") },
            interfaces: interfaces, luns: false)
        // Who does not answer is what paths tell of; here it only means that nothing new is known.
        guard let discovery = try? discover(request),
            let found = discovery.targets.first(where: { $0.name == target.text })
        else { return }
        for disk in disks { take(found.portals, disk) }
    }

    /// Tells of the portals that are new, or makes paths to them. To a disk whose portals are found by
    /// discovery they belong.
    func take(_ portals: [PortalReport], _ disk: AttachedDisk) {
        var listed: [SocketAddress] = []
        for portal in portals {
            guard let address = IPAddress(parsing: portal.address) else { continue }
            let whole = SocketAddress(address, port: portal.port)
            if !listed.contains(whole) { listed.append(whole) }
        }
        let setting = disk.settings()?.portalDiscovery
        let findsPortals = disk.state.withLock { $0.configuration?.findsPortals } == true
        let mayAdd = setting == .add || setting == .report && findsPortals
        let (wanted, fresh) = disk.state.withLock { state in
            // One that is taken away by hand is not new later.
            state.seenPortals += state.wanted.portals.filter { !state.seenPortals.contains($0) }
            let others = listed.filter { !state.wanted.portals.contains($0) }
            let fresh = others.filter { !state.seenPortals.contains($0) }
            state.seenPortals += fresh
            state.otherPortals = others
            return (state.wanted, fresh)
        }
        guard !fresh.isEmpty else { return }
        let all = wanted.adding(interfaces: [], portals: fresh)
        // Only what can be reached: an array may list ports of networks that this host is not in.
        let plan = try? PathPlan.make(
            interfaces: all.interfaces.filter { !wanted.waiting.contains($0) }, portals: all.portals,
            disk.multipathing, queues: queues(ofTargetOf: disk).count)
        let reachable = (plan?.paths ?? []).filter { fresh.contains($0.portal) }
        guard !reachable.isEmpty else { return }
        let names = fresh.filter { portal in reachable.contains { $0.portal == portal } }
        let text = names.map { "\($0)" }.joined(separator: ", ")
        guard mayAdd else {
            let hint = "causeway path add \(disk.name) --portal \(text)"
            logger.info("\(disk.name): the target has portals that no path leads to: \(text); \(hint)")
            return disk.remember("the target has the portals \(text), too")
        }
        do throws(ControlError) {
            try addToLane(disk, reachable)
            disk.state.withLock { state in
                state.wanted = state.wanted.adding(interfaces: [], portals: names)
                state.otherPortals.removeAll(where: names.contains)
            }
            keepPaths(disk)
            let count = reachable.count { $0.queue == 0 }
            logger.info("\(disk.name): the target has new portals, \(text): \(count) paths more")
            disk.remember("new portals of the target: \(text)")
        } catch {
            logger.error("\(disk.name): no path to the target's new portals \(text): \(error.message)")
        }
    }
}

extension AttachedDisk {
    /// As the lane has them.
    func settings() -> DiskSettings? {
        shards[0].ask(milliseconds: 1000) { $0.lane.snapshot($1)?.settings } ?? nil
    }

    fileprivate func portals(
        _ now: Instant
    ) -> (discovery: PortalDiscovery, intervalMilliseconds: UInt64)? {
        // The lane is not asked each second for what is due in minutes.
        if let next = state.withLock({ $0.nextDiscovery }), next > now { return nil }
        return settings().map { ($0.portalDiscovery, $0.discoveryIntervalMilliseconds) }
    }
}
