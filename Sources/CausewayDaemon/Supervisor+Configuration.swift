import CausewayConfiguration
import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import NBDDevice
import Synchronization

/// Disks and their files.
extension Supervisor {
    var files: ConfigurationFiles { options.configuration }

    /// Attaches a disk that is described by the request; what it does not say is inherited.
    func attach(_ request: AttachRequest) throws(ControlError) -> DiskReport {
        // Those of files are checked where they are read.
        _ = try changed(DiskSettings(), request.allSettings)
        let disk = DiskConfiguration(request, target: try targetName(request))
        if request.persist, let address = request.discovery, !adapter.discoveryAddresses.contains(address) {
            throw .invalidArgument(
                "a file cannot name \(address): there is no [discovery.\"\(address)\"] in \(files.adapter)",
                remedy: "add that section and type: causeway reload; or give the target's portals instead")
        }
        // Its file will name the secrets' files; without one they are on record.
        let chap = request.persist ? nil : request.chap
        let report = try attach(disk, force: request.force, waits: request.waitForInterfaces, chap: chap)
        guard request.persist else { return report }
        do throws(SystemError) {
            try files.write(disk)
        } catch {
            throw .internalFailure("\(request.name) is attached, but its file cannot be written: \(error)")
        }
        configured.withLock { _ = $0.disks.insert(disk.name.text) }
        // udev starts the disk's unit for a device whose disk has a file.
        let device = state.withLock { $0.disks[disk.name.text] }?.state.withLock { $0.device }
        try? device?.announceChange()
        logger.info("\(request.name): will be attached at every start, by \(files.path(of: request.name))")
        return report
    }

    func attachConfigured(_ name: DiskName) throws(ControlError) -> DiskReport {
        var problems: [ConfigurationProblem] = []
        let disk = files.disk(name, problems: &problems)
        let mistakes = problems.filter(\.isError)
        guard mistakes.isEmpty else { throw .wrongConfiguration(mistakes.map(\.description)) }
        guard let disk else { throw .notConfigured(name, path: files.path(of: name)) }
        let report = try attach(disk, force: false, waits: true)
        configuredDisks.drop(name)
        configured.withLock { _ = $0.disks.insert(name.text) }
        return report
    }

    /// Attaches in the background what is configured, and tries again for as long as it takes.
    func attachConfiguredDisks() {
        configuredDisks.start { [weak self] disk throws(ControlError) in
            guard let self else { return }
            _ = try self.attach(disk, force: false, waits: true)
        }
    }

    /// - Parameter waits: interfaces may be missing. Those of a configured disk may come late.
    private func attach(
        _ disk: DiskConfiguration, force: Bool, waits: Bool, chap: CHAPRequest? = nil
    ) throws(ControlError) -> DiskReport {
        var configuration = Configuration()
        configuration.adapter = adapter
        let settings = configuration.settings(of: disk)
        var disk = disk
        if disk.findsPortals { disk.portals = try findPortals(of: disk, chap) }
        var request = disk.request(settings)
        request.force = force
        request.chap = chap
        request.waitForInterfaces = waits
        return try open(request, try DiskLogin(settings), disk)
    }

    /// With what a disk of a predecessor logs in, and what it is reloaded from. As its file says where it has
    /// one: no secret, and nothing that leads to one but the name of a file, is on record.
    func inherited(
        _ record: DiskRecord, _ target: ISCSIName
    ) throws(ControlError) -> (DiskLogin, DiskConfiguration) {
        let request = record.ownRequest
        var configuration = Configuration()
        configuration.adapter = adapter
        var problems: [ConfigurationProblem] = []
        var disk = DiskConfiguration(request, target: target)
        if request.chap == nil, let file = files.disk(request.name, problems: &problems),
            file.target == target
        {
            disk = file
        }
        let login = try DiskLogin(configuration.settings(of: disk))
        // Its paths are those of the record: what the file says beside them is for a reload.
        disk.portals = request.portals
        disk.interfaces = request.interfaces
        return (login, disk)
    }

    func detach(_ request: DetachRequest) throws(ControlError) {
        let isAttached = state.withLock { $0.disks[request.name.text] != nil }
        // Before it is detached: one that is tried again just now must not come back.
        let wasWaiting = configuredDisks.drop(request.name)
        if isAttached || !(request.forget || wasWaiting) { try close(request) }
        guard request.forget else { return }
        let existed: Bool
        do throws(SystemError) {
            existed = try files.remove(request.name)
        } catch {
            throw .internalFailure("the file of \(request.name) cannot be removed: \(error)")
        }
        guard existed || isAttached else {
            throw .notConfigured(request.name, path: files.path(of: request.name))
        }
        configured.withLock { _ = $0.disks.remove(request.name.text) }
        if existed { logger.info("\(request.name): forgotten") }
    }
}
