import CausewayConfiguration
import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import Synchronization

/// The configuration, read again while disks are in use.
extension Supervisor {
    /// Several at once wait for each other.
    func reload(_ request: ReloadRequest) throws(ControlError) -> ReloadReport {
        try reloading.withLock { _ throws(ControlError) in
            let report = try readAgain(request)
            tellManager()
            for disk in report.disks {
                for text in disk.applied { logger.info("\(disk.name): reload: \(text)") }
                for text in disk.needsAttach {
                    logger.warning("\(disk.name): reload: only after detach and attach: \(text)")
                }
                for text in disk.problems { logger.error("\(disk.name): reload: \(text)") }
            }
            for note in report.notes { logger.warning("reload: \(note)") }
            return report
        }
    }

    /// A disk that is attached, and what the configuration has for it now.
    private struct Reloading {
        var disk: AttachedDisk
        var hasFile: Bool
        var configuration: DiskConfiguration
        var settings: InheritedSettings
        var login: DiskLogin?
        var result: ReloadedDisk
        /// Its settings are what the configuration says now.
        var isSettled = false
        /// Its paths as they were configured and as they are, where that has changed.
        var paths: (old: WantedPaths, new: WantedPaths)?
    }

    private func readAgain(_ request: ReloadRequest) throws(ControlError) -> ReloadReport {
        let (configuration, problems) = files.load()
        var mistakes = problems.filter(\.isError).map(\.description)
        var attached: [Reloading] = []
        var others: [ReloadedDisk] = []
        let waiting = configuredDisks.names
        for disk in state.withLock({ $0.disks.values.sorted { $0.name.text < $1.name.text } }) {
            if let found = prepare(disk, configuration, &mistakes) {
                attached.append(found)
            } else if !waiting.contains(disk.name.text) {
                // One that waits and is tried just now is tried again as its file is now.
                others.append(ReloadedDisk(name: disk.name, outcome: .busy))
            }
        }
        // Until here nothing is changed.
        guard mistakes.isEmpty else { throw .wrongConfiguration(mistakes) }
        let before = configured.withLock { state in
            let before = state
            state = Configured(
                adapter: configuration.adapter, disks: Set(configuration.disks.map(\.name.text)))
            return before
        }
        inForce.keep(configuration.adapterText, logger)
        var notes = problems.map(\.description) + startNotes(configuration.adapter)
        for index in attached.indices { change(&attached[index], before) }
        for index in attached.indices { dropPaths(&attached[index], &notes) }
        let loggedIn = request.relogin ? logInAgain(Set(attached.map(\.disk.target))) : [:]
        for index in attached.indices {
            let target = attached[index].disk.target
            tellLogins(attached[index].disk, loggedIn[target], &attached[index].result)
            keep(attached[index])
        }
        let absent = reloadAbsent(
            configuration, known: before.disks, waiting: waiting,
            attached: Set(attached.map(\.disk.name.text) + others.map(\.name.text)))
        let disks = (attached.map(\.result) + others + absent).sorted { $0.name.text < $1.name.text }
        return ReloadReport(disks: disks, notes: notes)
    }

    /// nil for a disk that comes or goes just now. What is wrong is added to `mistakes`.
    private func prepare(
        _ disk: AttachedDisk, _ configuration: Configuration, _ mistakes: inout [String]
    ) -> Reloading? {
        let (own, isReady) = disk.state.withLock { state in
            (state.configuration, state.origin == .adopting || state.description != nil)
        }
        guard disk.isInLanes, let own, isReady, !disk.isDetaching else { return nil }
        var file = configuration.disks.first { $0.name == disk.name }
        // Those that it has now; discovery brings the others.
        if file?.findsPortals == true { file?.portals = own.portals }
        var made = Reloading(
            disk: disk, hasFile: file != nil, configuration: file ?? own,
            settings: configuration.settings(of: file ?? own),
            result: ReloadedDisk(name: disk.name, outcome: .unchanged))
        do throws(ControlError) {
            made.login = try DiskLogin(made.settings)
        } catch {
            let problems = error.problems ?? [error.message]
            if file != nil {
                mistakes += problems.map { "\(files.path(of: disk.name)): \($0)" }
            } else {
                // No file is to blame: the one with the secret that it was attached with may be gone.
                made.result.problems += problems.map { "its login settings stay as they are: \($0)" }
            }
        }
        return made
    }

    // MARK: One disk

    private func change(_ reloading: inout Reloading, _ before: Configured) {
        let disk = reloading.disk
        if !reloading.hasFile && before.disks.contains(disk.name.text) {
            reloading.result.outcome = .fileRemoved
        }
        reloading.result.needsAttach = DiskChanges.needingAttach(disk.request, reloading.configuration)
        reloading.result.needsAttach += DiskChanges.needingAttach(reloading.settings.disk, disk.multipathing)
        // What the file says is of another target's paths and sessions.
        guard disk.target == reloading.configuration.target else { return }
        addPaths(&reloading)
        changeSettings(&reloading, before)
        changeLogin(&reloading)
        if reloading.result.outcome == .unchanged && !reloading.result.applied.isEmpty {
            reloading.result.outcome = .changed
        }
    }

    private func changeSettings(_ reloading: inout Reloading, _ before: Configured) {
        let disk = reloading.disk
        guard let inForce = disk.settings() else {
            reloading.result.problems.append("its settings stay as they are: the lane did not answer")
            return
        }
        do throws(ControlError) {
            var old: DiskSettings?
            if !reloading.hasFile {
                var earlier = Configuration()
                earlier.adapter = before.adapter
                let known = disk.state.withLock { $0.configured }
                old = try changed(
                    DiskSettings(), known ?? earlier.settings(of: reloading.configuration).disk)
            }
            let wanted = try changed(DiskSettings(), reloading.settings.disk)
            let changes = DiskChanges.settings(wanted: wanted, before: old, inForce: inForce)
            if !changes.isEmpty { try change(disk, changes) }
            reloading.isSettled = true
            guard !changes.isEmpty else { return }
            reloading.result.applied += DiskChanges.sentences(changes, inForce: inForce)
            noteOldLogins(disk, DiskChanges.ofLogins(changes))
        } catch {
            reloading.result.problems.append("its settings stay as they are: \(error.message)")
        }
    }

    private func changeLogin(_ reloading: inout Reloading) {
        let disk = reloading.disk
        guard let login = reloading.login, let old = disk.state.withLock({ $0.login }) else { return }
        let names = login.differences(from: old)
        guard !names.isEmpty else { return }
        let isDone = disk.ask { runner, id -> Bool in
            runner.lane.change(
                id, authentication: login.authentication, parameters: login.parameters, depth: login.depth,
                now: runner.time)
            return true
        }
        guard isDone != nil else {
            reloading.result.problems.append("its login settings stay as they are: the lane did not answer")
            return
        }
        disk.state.withLock { $0.login = login }
        noteOldLogins(disk, names)
        reloading.result.applied.append("changed for logins: \(names.joined(separator: ", "))")
    }

    /// What was changed is what a successor serves the disk with, and what the next reload compares with.
    private func keep(_ reloading: Reloading) {
        let (disk, configuration) = (reloading.disk, reloading.configuration)
        guard disk.target == configuration.target else { return }
        let configured = disk.state.withLock { state in
            if reloading.isSettled { state.configured = reloading.settings.disk }
            let old = state.configuration
            state.configuration = configuration
            // Paths that could not be changed are tried by the next reload.
            if let old, reloading.paths == nil {
                state.configuration?.portals = old.portals
                state.configuration?.interfaces = old.interfaces
            }
            return state.configured
        }
        do throws(ControlError) {
            try changeRecord(disk.name) { record in
                if reloading.paths != nil {
                    record.request.portals = configuration.portals
                    record.request.interfaces = configuration.interfaces
                }
                record.request.queueDepth = reloading.settings.queueDepth
                record.configured = configured
                if reloading.hasFile { record.own = configuration.ownSettings }
            }
        } catch {
            logger.error("\(disk.name): \(error.message)")
        }
    }

    // MARK: Paths

    /// Makes the paths that the file has more.
    private func addPaths(_ reloading: inout Reloading) {
        let (disk, new) = (reloading.disk, reloading.configuration)
        guard reloading.hasFile, let old = disk.state.withLock({ $0.configuration }),
            old.portals != new.portals || old.interfaces != new.interfaces
        else { return }
        do throws(ControlError) {
            let before = WantedPaths(interfaces: old.interfaces, portals: try resolve(old.portals))
            let plan = try PathPlan.make(
                interfaces: new.interfaces, portals: try resolve(new.portals), disk.multipathing,
                queues: queues(ofTargetOf: disk).count, mayWait: true)
            let after = WantedPaths(
                interfaces: new.interfaces, portals: try resolve(new.portals),
                waiting: plan.unusable.map(\.interface))
            let present = queues(ofTargetOf: disk).map { $0.paths ?? [] }
            let more = plan.paths.filter { path in
                let (interface, portal) = (path.interface ?? "", "\(path.portal)")
                return !before.covers(interface: interface, portal: portal)
                    && !present[path.queue].contains { $0.interface == interface && $0.portal == portal }
            }
            if !more.isEmpty { try addToLane(disk, more) }
            disk.state.withLock { state in
                state.wanted = state.wanted.replacing(before, with: after)
                for interface in after.waiting where !state.wanted.waiting.contains(interface) {
                    state.wanted.waiting.append(interface)
                }
            }
            keepPaths(disk)
            for interface in after.waiting { interfaceAppeared(interface) }
            reloading.paths = (before, after)
            reloading.result.applied += Set(more.map(\.name)).sorted().map { "path \($0) is added" }
            reloading.result.applied += after.waiting.map { "paths through \($0) are made when it appears" }
        } catch {
            reloading.result.problems.append("its paths stay as they are: \(error.message)")
        }
    }

    /// Takes away the paths that the file has no more, once all disks of the target have what theirs say.
    private func dropPaths(_ reloading: inout Reloading, _ notes: inout [String]) {
        guard let (old, new) = reloading.paths else { return }
        let disk = reloading.disk
        let siblings = state.withLock { $0.disks.values.filter { $0.target == disk.target } }
        var leaving: [DiskPathName] = []
        for path in disk.pathNames() {
            guard old.covers(interface: path.interface, portal: path.portal),
                !new.covers(interface: path.interface, portal: path.portal)
            else { continue }
            let user = siblings.first {
                $0.state.withLock { $0.wanted }.covers(interface: path.interface, portal: path.portal)
            }
            if let user {
                notes.append("\(disk.name): the path \(path) stays: \(user.name) of the same target has it")
            } else {
                leaving.append(path)
            }
        }
        guard !leaving.isEmpty else { return }
        awaitPath(disk, besides: leaving)
        for path in leaving {
            do throws(ControlError) {
                _ = try changePaths(
                    ChangePathsRequest(name: disk.name, paths: [path.pathName]), .remove)
                reloading.result.applied.append("path \(path) is removed")
                reloading.result.outcome = .changed
            } catch {
                reloading.result.problems.append("the path \(path) stays: \(error.message)")
                // So that the next reload tries again.
                reloading.paths = nil
            }
        }
    }

    /// So that what takes over has come up before what it takes over from goes.
    private func awaitPath(_ disk: AttachedDisk, besides leaving: [DiskPathName]) {
        for _ in 0..<100 {
            let isUp = disk.pathNames().contains { path in
                !leaving.contains(path) && path.carriesDisk
            }
            if isUp { return }
            Pause.milliseconds(100)
        }
    }

    // MARK: Disks that are not attached

    private func reloadAbsent(
        _ configuration: Configuration, known: Set<String>, waiting: Set<String>, attached: Set<String>
    ) -> [ReloadedDisk] {
        var results: [ReloadedDisk] = []
        var fresh: [DiskConfiguration] = []
        for disk in configuration.disks where !attached.contains(disk.name.text) {
            let isDetached = known.contains(disk.name.text) && !waiting.contains(disk.name.text)
            results.append(ReloadedDisk(name: disk.name, outcome: isDetached ? .detached : .attaching))
            if !isDetached { fresh.append(disk) }
        }
        configuredDisks.add(fresh)
        let names = Set(configuration.disks.map(\.name.text))
        for text in waiting.subtracting(names).subtracting(attached) {
            guard let name = try? DiskName(text), configuredDisks.drop(name) else { continue }
            results.append(ReloadedDisk(name: name, outcome: .givenUp))
        }
        return results
    }

    /// What stays as it is until the daemon ends: the name is in every session and every record.
    private func startNotes(_ adapter: AdapterConfiguration) -> [String] {
        var notes: [String] = []
        if let count = adapter.lanes, count != lanes.most {
            notes.append("lanes is \(count) from the daemon's next start on; until then it is \(lanes.most)")
        }
        guard options.initiatorName == nil, let name = adapter.initiatorName, name != initiatorName else {
            return notes
        }
        return notes + [
            "initiator-name is \(name) from the daemon's next start on; until then it is \(initiatorName)"
        ]
    }
}
