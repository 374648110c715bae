import CausewayConfiguration
import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import Synchronization

/// The configured discovery addresses: asked for their targets now and then, and what they listed is kept.
extension Supervisor {
    private static let firstMilliseconds: UInt64 = 5000

    /// When each address is asked next, and what was wrong with it last.
    struct DiscoverySchedule {
        fileprivate var due: [CausewayControl.PortalAddress: Instant] = [:]
        fileprivate var problems: [CausewayControl.PortalAddress: String] = [:]
    }

    /// Asks the addresses whose time has come, over the interfaces of the disks that were found there.
    func askDiscoveryAddresses(_ now: Instant) {
        let adapter = adapter
        let addresses = adapter.discoveryAddresses
        for address in addresses {
            let texts = adapter.settings(discoveryAt: address).disk
            let settings = (try? changed(DiskSettings(), texts)) ?? DiskSettings()
            guard settings.portalDiscovery != .ignore else { continue }
            let isDue = schedule.withLock { schedule in
                let due = schedule.due[address] ?? now.adding(milliseconds: Self.firstMilliseconds)
                let isDue = due <= now
                schedule.due[address] =
                    isDue ? now.adding(milliseconds: settings.discoveryIntervalMilliseconds) : due
                return isDue
            }
            guard isDue else { continue }
            let disks = disks(foundAt: address, adapter)
            do throws(ControlError) {
                let targets = try ask(address, through: disks.interfaces)
                tell(address, problem: nil)
                for disk in disks.attached {
                    guard let target = targets.first(where: { $0.name == disk.target.text }) else { continue }
                    take(target.portals, disk)
                }
            } catch {
                tell(address, problem: error.message)
            }
        }
        write { $0.forgetOthers(than: addresses) }
    }

    /// The portals of a disk that names none, as its discovery address lists them; or as it did, where it
    /// does not answer.
    ///
    /// - Parameter chap: of a command that names an address which has no section, for that address too.
    func findPortals(
        of disk: DiskConfiguration, _ chap: CHAPRequest?
    ) throws(ControlError) -> [CausewayControl.PortalAddress] {
        let found = adapter.discoveryAddress(of: disk.target, portals: [], named: disk.discovery)
        // A command may name one that has no section.
        guard let address = found ?? disk.discovery else {
            throw .invalidArgument(
                "\(disk.name) names neither a portal nor a discovery address", remedy: "name one in its file")
        }
        let targets: [TargetReport]
        do throws(ControlError) {
            targets = try ask(
                address, through: presentInterfaces(disk.interfaces), chap: found == nil ? chap : nil)
        } catch {
            guard let known = knownTargets.targets.portals(of: disk.target, at: address) else { throw error }
            let time = Quantities.utc(microseconds: known.timeMicroseconds)
            let list = known.portals.map(\.description).joined(separator: ", ")
            logger.warning(
                "\(disk.name): \(error.message.escapedForTerminal); the portals of \(time) are used: \(list)")
            return known.portals
        }
        guard let target = targets.first(where: { $0.name == disk.target.text }), !target.addresses.isEmpty
        else {
            throw .targetNotFound(disk.target.text, portal: address)
        }
        // Also those that an interface told of which is silent now.
        return knownTargets.targets.portals(of: disk.target, at: address)?.portals ?? target.addresses
    }

    private func ask(
        _ address: CausewayControl.PortalAddress, through interfaces: [String], chap: CHAPRequest? = nil
    ) throws(ControlError) -> [TargetReport] {
        let discovery = try discover(
            DiscoverRequest(portals: [address], interfaces: interfaces, luns: false, chap: chap))
        write { known in
            known.learn(
                discovery.targets, at: address, through: interfaces,
                timeMicroseconds: WallClock.microseconds())
        }
        return discovery.targets
    }

    private func write(_ change: (inout KnownTargets) -> Bool) {
        do throws(SystemError) {
            try knownTargets.change(change)
        } catch {
            logger.error("what was discovered cannot be kept for the next boot: \(error)")
        }
    }

    private func disks(
        foundAt address: CausewayControl.PortalAddress, _ adapter: AdapterConfiguration
    ) -> (attached: [AttachedDisk], interfaces: [String]) {
        func isFound(_ disk: DiskConfiguration) -> Bool {
            adapter.discoveryAddress(of: disk.target, portals: disk.portals, named: disk.discovery) == address
        }
        let attached = state.withLock { Array($0.disks.values) }.filter { disk in
            disk.state.withLock { $0.isDetaching ? nil : $0.configuration }.map(isFound) ?? false
        }
        var interfaces = attached.flatMap { disk in disk.state.withLock { $0.wanted.interfaces } }
        interfaces += configuredDisks.configurations.filter(isFound).flatMap(\.interfaces)
        return (attached, presentInterfaces(interfaces))
    }

    /// Each once, without those that this machine has not now; all of them if it has none.
    private func presentInterfaces(_ names: [String]) -> [String] {
        let present = Set(((try? NetworkInterfaces.list()) ?? []).map(\.link.name))
        var known: Set<String> = []
        let unique = names.filter { known.insert($0).inserted }
        let there = unique.filter(present.contains)
        return there.isEmpty ? unique : there
    }

    /// Once for each problem, and when it is over.
    private func tell(_ address: CausewayControl.PortalAddress, problem: String?) {
        let old = schedule.withLock { schedule in
            let old = schedule.problems[address]
            schedule.problems[address] = problem
            return old
        }
        guard problem != old else { return }
        if let problem {
            logger.warning("discovery address \(address): \(problem.escapedForTerminal); it is asked again")
        } else {
            logger.info("discovery address \(address): it answers again")
        }
    }
}
