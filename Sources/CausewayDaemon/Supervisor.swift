import CausewayConfiguration
import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import NBDDevice
import Synchronization

/// The control side of the daemon: which disks there are, what they are exported as, and what becomes of
/// them.
///
/// Its methods run on the control threads of clients and may block. Lanes are only spoken to through their
/// mailbox, and netlink only through helper processes, so nothing here can stop I/O.
final class Supervisor: DiskService {
    let options: DaemonOptions
    let logger: Logger
    let initiatorName: ISCSIName
    let initiatorAlias: String?
    let configured: Mutex<Configured>
    /// Held while the configuration is read again and applied.
    let reloading = Mutex(())
    let inForce: AdapterCopy
    /// What the copy is to hold, once it is certain that no other daemon runs.
    let startText: String?
    let configuredDisks: ConfiguredDisks
    let lanes: Lanes
    let calls = NBDCallRunner()
    let records: SessionRecords
    /// Held while sessions are put on record, or taken off.
    let recording = Mutex(())
    /// Held while something is written for udev.
    let describing = Mutex(())
    let diskRecords: DiskRecords
    let devices: DeviceRecords
    let knownTargets: KnownTargetsFile
    let schedule = Mutex(DiscoverySchedule())
    private let challenges = KnownChallenges()
    let news: Mailbox<SupervisorNews>
    private let watch: NoticeWatch
    private let portalWatch = PortalWatch()
    let manager = ServiceNotification()

    /// The configuration as it was read last.
    struct Configured {
        var adapter: AdapterConfiguration
        /// Disks that have a file: one of them that is not attached was detached by hand.
        var disks: Set<String>
        /// What keeps `causeway.toml` from being used since the daemon's start.
        var mistakes: [String] = []
    }
    var adapter: AdapterConfiguration { configured.withLock { $0.adapter } }

    struct State {
        var disks: [String: AttachedDisk] = [:]
        /// Disks of a predecessor, from the start of the daemon until its control socket stands.
        var adoptions: [Adoption] = []
        /// Kept by the watch thread, in the order of the lanes' notices: a lane uses its numbers again.
        var byID: [LaneDisk: ServedQueue] = [:]
        /// The routes of every target's paths. Its disks share them, so they stay until the last of these is
        /// gone.
        var routes: [ISCSIName: [SessionWay: LaneRoute]] = [:]
        /// Sessions that stand with other login settings than a login would have now.
        var oldLogins: [ISCSIName: OldLogins] = [:]
        private var nextRoute: Int32 = 0

        mutating func route(of way: SessionWay, in lane: LaneHandle) -> RouteID {
            let target = way.session.target
            if let known = routes[target]?[way], known.lane === lane { return known.id }
            let id = RouteID(rawValue: nextRoute)
            nextRoute &+= 1
            routes[target, default: [:]][way] = LaneRoute(id: id, lane: lane)
            return id
        }
    }
    let state = Mutex(State())

    /// - Parameter passed: what the service manager kept from a predecessor, by name; owned from now on.
    init(
        options: DaemonOptions, logger: Logger, passed: [(name: String, descriptor: Int32)] = []
    ) throws(DaemonError) {
        self.options = options
        records = SessionRecords(stateDirectory: options.stateDirectory)
        diskRecords = DiskRecords(stateDirectory: options.stateDirectory)
        devices = DeviceRecords(stateDirectory: options.stateDirectory)
        knownTargets = KnownTargetsFile(dataDirectory: options.dataDirectory)
        self.logger = logger
        do throws(SystemError) {
            try records.prepare()
            try diskRecords.prepare()
        } catch {
            throw .system(error)
        }
        inForce = AdapterCopy(stateDirectory: options.stateDirectory)
        let start = try StartConfiguration(
            options.configuration, inForce: inForce, mustStart: !diskRecords.all().records.isEmpty,
            logger: logger)
        startText = start.text
        configured = Mutex(start.configured)
        configuredDisks = ConfiguredDisks(start.disks, logger: logger)
        do throws(InitiatorNameError) {
            initiatorName = try InitiatorName.load(
                override: options.initiatorName ?? start.configured.adapter.initiatorName?.text)
        } catch {
            throw .initiatorName(error)
        }
        initiatorAlias = InitiatorName.alias(configured: start.configured.adapter.initiatorAlias)
        do throws(SystemError) {
            let news = try Mailbox<SupervisorNews>()
            self.news = news
            var settings = LaneSettings()
            settings.skipsBarrier = options.skipsBarrier
            settings.initiatorAlias = initiatorAlias
            unsafe settings.checksum = ProcessorChecksum.fastest
            lanes = try Lanes(
                most: start.configured.adapter.lanes ?? Lanes.standardCount, settings: settings,
                logger: logger
            ) { news.send(.notice(lane: $0, $1)) }
            watch = try NoticeWatch(news: news, lanes: lanes)
        } catch {
            throw .system(error)
        }
        do throws(SystemError) {
            try watch.start { [weak self] news in self?.hear(news) }
            try portalWatch.start { [weak self] in self?.lookForPortals() ?? 1000 }
        } catch {
            throw .system(error)
        }
        logger.info("initiator name \(initiatorName)")
        reserveForAdoption(passed)
    }

    /// Ends what can be ended without harm. A disk is not detached by that: a kernel device stays, and who
    /// uses it only waits for the next daemon, which brings back the export sockets too.
    func stop() {
        configuredDisks.stop()
        portalWatch.stop()
        let disks = state.withLock { Array($0.disks.values) }
        handOver(disks.filter { $0.state.withLock { $0.device != nil } })
        endExports(of: disks.filter { $0.request.socket != nil })
        watch.stop()
        lanes.stop()
    }

    /// What `systemctl status` shows.
    func tellManager() {
        try? manager?.status(statusLine())
    }

    // MARK: News from the lane

    private func hear(_ news: SupervisorNews) {
        switch news {
        case .attached(let disk, let queue): state.withLock { $0.byID[disk] = queue }
        case .interfaceAppeared(let name):
            interfaceAppeared(name)
            configuredDisks.hurry(for: name)
        case .notice(let lane, let notice): hear(notice, lane)
        }
    }

    private func hear(_ notice: LaneNotice, _ lane: Int) {
        func find(_ id: DiskID) -> ServedQueue? {
            state.withLock { $0.byID[LaneDisk(lane: lane, id: id)] }
        }
        switch notice {
        case .ready(let id, let description):
            find(id)?.shard.outcome.fulfil(.success(description))
        case .notReady(let id, let problems):
            guard let queue = find(id) else { return }
            if queue.disk.state.withLock({ $0.origin }) == .adopting { return notYet(queue.disk, problems) }
            queue.shard.outcome.fulfil(.failure(AttachedDisk.AttachFailure(problems: problems)))
        case .sessionBegan(let name, let portalGroupTag):
            forgetOldLogin(name)
            sessionBegan(name, portalGroupTag, lane)
        case .sessionEnded(let name, let number, let unfenced): sessionEnded(name, number, unfenced)
        case .pathChanged(let id, let interface, let portal, let isUp, let reason):
            guard let queue = find(id) else { return }
            // For the log the lane has a line of its own: one for the path, however many disks it carries.
            let text = "\(interface) \(portal): " + (isUp ? "active" : "lost: \(reason)")
            queue.disk.remember(queue.disk.text(text, of: queue.shard))
        case .pathRemoved(let id, let name, let path):
            if let queue = find(id) { pathRemoved(queue.disk, name, path: path) }
        case .clientGone(let id, let requested):
            guard let queue = find(id) else { return }
            if requested { deviceIsGone(queue.disk) } else { kernelHungUp(queue) }
        case .writesLost(let id, let isTold):
            if let queue = find(id) { writesLost(queue.disk, isTold: isTold) }
        case .registrationChanged(let id, let registration):
            if let queue = find(id) { registrationChanged(queue.disk, registration) }
        case .reservationEnded(let id, let ticket, let result):
            let waiting = find(id)?.disk.state.withLock { $0.reservation }
            if let waiting, waiting.ticket == ticket { waiting.promise.fulfil(result) }
        case .flushed(let id, let error):
            find(id)?.shard.state.withLock { $0.flush }?.fulfil(error)
        case .detached(let id, let isFlushed):
            let queue = state.withLock { $0.byID.removeValue(forKey: LaneDisk(lane: lane, id: id)) }
            queue?.shard.state.withLock { $0.id = nil }
            queue?.shard.detached.fulfil(DetachOutcome(isFlushed: isFlushed))
        case .sizeChanged(let id, let sizeBytes):
            if let queue = find(id) { sizeChanged(queue, sizeBytes) }
        case .disk(let id, let severity, let text):
            guard let queue = find(id) else { return }
            let line = queue.disk.text(text, of: queue.shard)
            queue.disk.remember(line)
            log(severity, "\(queue.disk.name): \(line)")
        case .event(let severity, let text): log(severity, text)
        }
    }

    private func writesLost(_ disk: AttachedDisk, isTold: Bool) {
        // What several lanes say comes in any order.
        let isTold = disk.shares.map { !$0.hasUntoldLoss } ?? isTold
        do throws(SystemError) {
            try diskRecords.change(disk.name) { $0.hasLostWrites = isTold ? nil : true }
        } catch {
            logger.error("\(disk.name): that writes were lost cannot be put on record: \(error)")
        }
    }

    private func log(_ severity: LaneNotice.Severity, _ text: String) {
        switch severity {
        case .information: logger.info("\(text)")
        case .warning: logger.warning("\(text)")
        case .error: logger.error("\(text)")
        }
    }

    func find(_ name: DiskName) throws(ControlError) -> AttachedDisk {
        guard let disk = state.withLock({ $0.disks[name.text] }) else {
            throw configuredDisks.explanation(of: name) ?? .noSuchDisk(name)
        }
        return disk
    }

    // MARK: Discovery

    func discover(_ request: DiscoverRequest) throws(ControlError) -> Discovery {
        var discovery = TargetDiscovery(initiatorName: initiatorName)
        discovery.initiatorAlias = initiatorAlias
        discovery.challenges = challenges
        let layer = SettingLayer(request.chap)
        discovery.authentications.discovery = { [adapter] portal throws(ControlError) in
            try adapter.settings(discoveryAt: portal, request: layer).chap.authentication()
        }
        discovery.authentications.target = { [adapter] target, portals throws(ControlError) in
            try adapter.settings(target: target, portals: portals, disk: layer).chap.authentication()
        }
        discovery.note = { [logger] in logger.warning("\($0)") }
        return try discovery.discover(request)
    }
}

/// What the watch thread hears, in the order in which it happened on the lane.
enum SupervisorNews: Sendable {
    /// The lane has taken a disk; what it has to say of it comes after this.
    case attached(LaneDisk, ServedQueue)
    case notice(lane: Int, LaneNotice)
    /// An interface is up with carrier, or has another address.
    case interfaceAppeared(String)
}
