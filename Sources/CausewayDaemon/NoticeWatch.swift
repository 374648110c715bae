import CausewayCore
import Dispatch
import Glibc
import LinuxSystem
import Synchronization

/// The supervisor's ear: a thread that hears what lanes have to tell and what the kernel says of network
/// interfaces, so that neither a slow log nor a slow client can hold up a lane.
final class NoticeWatch: Sendable {
    private let news: Mailbox<SupervisorNews>
    private let lanes: Lanes
    private let stopping = Atomic<Bool>(false)
    private let wakeup: Mailbox<Void>
    private let ended = DispatchSemaphore(value: 0)

    init(news: Mailbox<SupervisorNews>, lanes: Lanes) throws(SystemError) {
        self.news = news
        self.lanes = lanes
        wakeup = try Mailbox<Void>()
    }

    func start(_ hear: @escaping @Sendable (SupervisorNews) -> Void) throws(SystemError) {
        let links = try LinkMonitor()
        let thread = try startThread(name: "causeway watch", owning: links) { [self] links in
            var links = links
            var names: [UInt32: String] = [:]
            for interface in (try? NetworkInterfaces.list()) ?? [] {
                names[interface.link.index] = interface.link.name
            }
            while !stopping.load(ordering: .relaxed) {
                var polled = [news.descriptor, wakeup.descriptor, links.descriptor].map {
                    pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
                }
                guard unsafe poll(&polled, nfds_t(polled.count), -1) > 0 else { continue }
                // The kernel's word first: it is what I/O waits for.
                if polled[2].revents != 0 { take(&links, &names, hear) }
                for item in news.takeAll() { hear(item) }
            }
            for item in news.takeAll() { hear(item) }
            ended.signal()
        }
        _ = consume thread
    }

    func stop() {
        stopping.store(true, ordering: .relaxed)
        wakeup.send(())
        _ = ended.wait(timeout: .now() + .seconds(5))
    }

    private func take(
        _ links: inout LinkMonitor, _ names: inout [UInt32: String], _ hear: (SupervisorNews) -> Void
    ) {
        guard let events = try? links.readEvents() else { return }
        for event in events {
            if case .linkChanged(let link) = event { names[link.index] = link.name }
            switch event {
            case .linkChanged(let link) where link.isUp && link.hasCarrier: found(link.name, hear)
            case .linkChanged(let link):
                lost(link.name, link.isUp ? "\(link.name) lost its carrier" : "\(link.name) was taken down")
            case .linkRemoved(let link): lost(link.name, "\(link.name) was removed")
            case .addressAdded(let address):
                if address.isUsable, let name = names[address.interfaceIndex] { found(name, hear) }
            case .addressRemoved(let address):
                if let name = names[address.interfaceIndex] {
                    let text = "\(address.address)"
                    lanes.performOnAll { runner in
                        runner.lane.addressLost(name, address: text, now: runner.time)
                    }
                }
            case .resyncNeeded: resync(hear)
            }
        }
    }

    private func found(_ name: String, _ hear: (SupervisorNews) -> Void) {
        // The address that it has now comes before the attempts that follow.
        hear(.interfaceAppeared(name))
        lanes.performOnAll { runner in runner.lane.interfaceFound(name, now: runner.time) }
    }

    private func lost(_ name: String, _ reason: String) {
        lanes.performOnAll { runner in runner.lane.interfaceLost(name, reason: reason, now: runner.time) }
    }

    private func resync(_ hear: (SupervisorNews) -> Void) {
        for interface in (try? NetworkInterfaces.list()) ?? [] {
            if interface.link.isUp && interface.link.hasCarrier {
                found(interface.link.name, hear)
            } else {
                lost(interface.link.name, "\(interface.link.name) has no carrier")
            }
        }
    }
}
