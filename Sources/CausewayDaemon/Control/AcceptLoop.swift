import CausewayControl
import Glibc
import Logging

/// The control socket's accepting thread and its table of connections.
final class AcceptLoop: Sendable {
    /// Sent through the pipe instead of a slot's number.
    static let stopWord = UInt32.max
    /// How long clients queue for a slot before they are told that there is none.
    private static let patienceWhenFullMilliseconds: UInt64 = 1_000

    private let configuration: ControlServer.Configuration
    private let endpoint: ControlEndpoint
    private let events: EventPipe
    private let service: any DiskService
    private let logger: Logger

    /// A connection whose thread has not ended.
    private struct Entry {
        let socket: UnixSocket
        let access: Access
    }

    init(
        configuration: ControlServer.Configuration, endpoint: consuming ControlEndpoint, events: EventPipe,
        service: any DiskService, logger: Logger
    ) {
        self.configuration = configuration
        self.endpoint = endpoint
        self.events = events
        self.service = service
        self.logger = logger
    }

    func run() {
        var slots = [Entry?](repeating: nil, count: configuration.connectionsMax)
        serve(&slots)
        endpoint.refuseClients()
        for case let entry? in slots { entry.socket.shutdownReceiving() }
        drain(&slots)
        // Where a call outlasts the grace time, its thread still uses the pipe, which then lives as long as
        // the process.
        if slots.allSatisfy({ $0 == nil }) { events.close() }
    }

    /// Accepts until told to stop.
    private func serve(_ slots: inout [Entry?]) {
        // Until then new clients wait in the socket's queue: for a slot, or after running out of descriptors.
        var holdOffEnd: UInt64 = 0
        var wasFull = false
        while true {
            let now = MonotonicClock.milliseconds()
            let full = !slots.contains { $0 == nil }
            if full && !wasFull { holdOffEnd = now + Self.patienceWhenFullMilliseconds }
            if !full && wasFull { holdOffEnd = 0 }
            wasFull = full

            var polled = [pollfd(fd: events.readEnd, events: Int16(POLLIN), revents: 0)]
            if now >= holdOffEnd {
                polled.append(pollfd(fd: endpoint.socket.descriptor, events: Int16(POLLIN), revents: 0))
            }
            let timeout = now >= holdOffEnd ? -1 : Int32(truncatingIfNeeded: holdOffEnd - now)
            guard unsafe poll(&polled, nfds_t(polled.count), timeout) > 0 else { continue }
            if polled[0].revents != 0 {
                guard let word = events.receive(), word != Self.stopWord else { return }
                release(Int(word), &slots)
            }
            guard polled.count > 1, polled[1].revents != 0 else { continue }
            do throws(SystemCallError) {
                if let socket = try endpoint.socket.accept() { admit(socket, &slots) }
            } catch {
                // Trying again at once would spin.
                logger.warning("the control socket takes no client: \(error)")
                holdOffEnd = MonotonicClock.milliseconds() + 100
            }
        }
    }

    /// Gives the client a slot and a thread, or turns it away.
    private func admit(_ socket: UnixSocket, _ slots: inout [Entry?]) {
        do throws(SystemCallError) {
            let peer = try socket.peerCredentials()
            let access = configuration.access(peer)
            let readers = slots.count { $0?.access == .readOnly }
            guard let slot = slots.firstIndex(where: { $0 == nil }),
                access == .full || readers < configuration.readOnlyConnectionsMax
            else {
                turnAway(socket)
                return
            }
            var logger = logger
            logger[metadataKey: "client"] = "process \(peer.processID) of user \(peer.userID)"
            let connection = ControlConnection(
                socket: socket, access: access, patienceMilliseconds: configuration.patienceMilliseconds,
                dispatcher: ControlDispatcher(service: service, logger: logger), logger: logger)
            let events = events
            _ = try ControlThread.start(detached: true) {
                connection.serve()
                events.send(UInt32(slot))
            }
            slots[slot] = Entry(socket: socket, access: access)
        } catch {
            logger.warning("the control socket loses a client: \(error)")
            socket.close()
        }
    }

    private func turnAway(_ socket: UnixSocket) {
        let error = ControlError.busy("the daemon serves as many clients as it can")
        let reply = VarlinkReply(parameters: error.parameters, error: error.varlinkName)
        if let bytes = try? MessageCodec.encode(reply) { try? socket.send(bytes) }
        socket.close()
    }

    private func release(_ slot: Int, _ slots: inout [Entry?]) {
        slots[slot]?.socket.close()
        slots[slot] = nil
    }

    /// Waits for the threads that are left, up to the grace time.
    private func drain(_ slots: inout [Entry?]) {
        let end = MonotonicClock.milliseconds() + UInt64(configuration.graceMilliseconds)
        while slots.contains(where: { $0 != nil }) {
            let now = MonotonicClock.milliseconds()
            guard now < end else {
                logger.warning("a control call is still under way; stopping all the same")
                return
            }
            var polled = pollfd(fd: events.readEnd, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&polled, 1, Int32(truncatingIfNeeded: end - now)) > 0 else { continue }
            if let word = events.receive(), word != Self.stopWord { release(Int(word), &slots) }
        }
    }
}
