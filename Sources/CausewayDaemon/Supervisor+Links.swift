import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import NBDDevice
import Synchronization

/// What udev knows of a kernel device, and the names of its links.
extension Supervisor {
    /// Returns whether udev has something new to read.
    @discardableResult
    func describe(_ disk: AttachedDisk, _ description: DiskDescription) -> Bool {
        do throws(SystemError) {
            // One after the other: the last to write has seen the newest paths.
            return try describing.withLock { _ throws(SystemError) in
                guard state.withLock({ $0.disks[disk.name.text] === disk }) else { return false }
                let properties = DeviceProperties(
                    name: disk.name, target: disk.target, lun: disk.request.lun,
                    portals: portals(ofTarget: disk.target), inquiry: description.report.inquiry,
                    unitSerial: description.report.serial, identity: description.report.identity)
                return try devices.write(properties, for: disk.name)
            }
        } catch {
            logger.error("\(disk.name): udev does not know what it is: \(error)")
            return false
        }
    }

    /// Links name portals: where the paths to a target are others now, so are the links of its disks.
    func refreshLinks(ofTarget target: ISCSIName) {
        let disks = state.withLock { $0.disks.values.filter { $0.target == target } }
        for disk in disks {
            let (description, device) = disk.state.withLock { ($0.description, $0.device) }
            guard let description, let device, describe(disk, description) else { continue }
            try? device.announceChange()
        }
    }

    /// The portals that paths of a target lead to, or will when an interface appears: its disks share them.
    private func portals(ofTarget target: ISCSIName) -> [String] {
        let disks = state.withLock { $0.disks.values.filter { $0.target == target } }
        return disks.flatMap { disk in
            disk.state.withLock { state in
                // One that is taken back from a predecessor has its paths in a moment.
                let isWaiting = state.plan.isEmpty || !state.wanted.waiting.isEmpty
                return (state.plan.map(\.portal) + (isWaiting ? state.wanted.portals : []))
                    .map(\.description)
            }
        }
    }
}
