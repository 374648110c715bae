import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import NBDDevice
import Synchronization

/// The control side of the daemon: which disks there are, what they are exported as, and what becomes of them.
///
/// Its methods run on the control threads of clients and may block. Lanes are only spoken to through their mailbox,
/// and netlink only through helper processes, so nothing here can stop I/O.
final class Supervisor: DiskService {
    let options: DaemonOptions
    let logger: Logger
    let initiatorName: ISCSIName
    let lane: LaneHandle
    let calls = NBDCallRunner()
    private let notices: Mailbox<LaneNotice>
    private let watch: NoticeWatch

    struct State {
        var disks: [String: AttachedDisk] = [:]
        var byID: [DiskID: AttachedDisk] = [:]
        var nextRoute: Int32 = 0
    }
    let state = Mutex(State())

    init(options: DaemonOptions, logger: Logger) throws(DaemonError) {
        self.options = options
        self.logger = logger
        do throws(InitiatorNameError) {
            initiatorName = try InitiatorName.load(override: options.initiatorName)
        } catch {
            throw .initiatorName(error)
        }
        do throws(SystemError) {
            let notices = try Mailbox<LaneNotice>()
            self.notices = notices
            var settings = LaneSettings()
            settings.skipsBarrier = options.skipsBarrier
            lane = try LaneHandle(name: "lane 0", settings: settings) { notices.send($0) }
            watch = try NoticeWatch(notices: notices, lane: lane)
        } catch {
            throw .system(error)
        }
        do throws(SystemError) {
            try watch.start { [weak self] notice in self?.hear(notice) }
        } catch {
            throw .system(error)
        }
        logger.info("initiator name \(initiatorName)")
    }

    func stop() {
        let disks = state.withLock { Array($0.disks.values) }
        for disk in disks { try? detach(DetachRequest(name: disk.name, force: disk.request.socket != nil)) }
        watch.stop()
        lane.stop()
    }

    // MARK: News from the lane

    private func hear(_ notice: LaneNotice) {
        switch notice {
        case .ready(let id, let description):
            find(id)?.outcome.fulfil(.success(description))
        case .notReady(let id, let problems):
            find(id)?.outcome.fulfil(.failure(AttachedDisk.AttachFailure(problems: problems)))
        case .pathChanged(let id, let interface, let portal, let isUp, let reason):
            guard let disk = find(id) else { return }
            disk.remember("\(interface) \(portal): " + (isUp ? "active" : "lost: \(reason)"))
            if isUp { logger.info("\(disk.name): path \(interface) -> \(portal) is active") }
        case .clientGone(let id, let requested):
            guard let disk = find(id), !requested else { return }
            let isKernel = disk.state.withLock { $0.device != nil && !$0.isDetaching }
            if isKernel {
                disk.remember("the kernel closed its connection")
                logger.error("\(disk.name): the kernel closed its connection")
            }
        case .detached(let id):
            find(id)?.detached.fulfil(())
        case .event(let severity, let text):
            switch severity {
            case .information: logger.info("\(text)")
            case .warning: logger.warning("\(text)")
            case .error: logger.error("\(text)")
            }
        }
    }

    private func find(_ id: DiskID) -> AttachedDisk? {
        state.withLock { $0.byID[id] }
    }

    func find(_ name: DiskName) throws(ControlError) -> AttachedDisk {
        guard let disk = state.withLock({ $0.disks[name.text] }) else { throw .noSuchDisk(name) }
        return disk
    }

    // MARK: Discovery

    func discover(_ request: DiscoverRequest) throws(ControlError) -> Discovery {
        try TargetDiscovery(initiatorName: initiatorName).discover(request)
    }
}
