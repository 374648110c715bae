import CLinux
public import CausewayCore
import Glibc

/// Runs a lane: moves its bytes between sockets and memory, tells it the time, and does what it asks for.
///
/// Owned by one thread. Everything that comes from other threads comes through the mailbox, as a piece of
/// work. Safe because the vectors live as long as the runner and only hold what the lane has just described.
@safe
public struct LaneRunner: ~Copyable {
    public typealias Work = @Sendable (inout LaneRunner) -> Void

    public var lane: Lane
    private var poller: Poller
    private let mailbox: Mailbox<Work>
    private let onNotice: @Sendable (LaneNotice) -> Void

    /// What the shell knows of a stream, by the lane's stream index.
    private var sockets: SocketTable
    private let timer: LaneTimer
    /// When listeners that were put aside are heard again.
    private var listenAgainAt = Instant.never
    /// When the timer goes off.
    private var armedFor = Instant.never
    private var listeners: [LaneListener?] = []
    private var routes: [RouteID: Route] = [:]
    private let vectors: UnsafeMutablePointer<IOVector>
    private var now = Instant(nanoseconds: 0)
    private var isStopped = false
    private var mustNotSleep = false

    private static let vectorCapacity = 1024
    private static let listenerCapacity = 256

    /// Names that targets redirected to, being looked up for streams that still wait for it.
    private var lookUps: Set<StreamID> = []
    private var lookUpThreads = 0
    private static let lookUpThreadsMax = 8

    public init(
        settings: LaneSettings, mailbox: Mailbox<Work>, onNotice: @escaping @Sendable (LaneNotice) -> Void
    ) throws(SystemError) {
        var poller = try Poller(slotCapacity: settings.streamCapacity + 2 + Self.listenerCapacity)
        try poller.add(mailbox.descriptor, slot: settings.streamCapacity, for: .readable)
        let timer = try LaneTimer()
        try poller.add(timer.rawValue, slot: settings.streamCapacity + 1, for: .readable)
        var settings = settings
        settings.residentChunkCount = 32
        lane = Lane(settings: settings)
        self.poller = poller
        self.timer = timer
        self.mailbox = mailbox
        self.onNotice = onNotice
        sockets = SocketTable(capacity: settings.streamCapacity)
        unsafe vectors = .allocate(capacity: Self.vectorCapacity)
        unsafe vectors.initialize(repeating: IOVector(), count: Self.vectorCapacity)
    }

    deinit {
        for slot in 0..<sockets.capacity where sockets[slot].descriptor >= 0 {
            _ = Glibc.close(sockets[slot].descriptor)
        }
        unsafe vectors.deallocate()
    }

    private var mailboxSlot: Int { sockets.capacity }
    private var timerSlot: Int { sockets.capacity &+ 1 }
    private var listenerSlot: Int { sockets.capacity &+ 2 }

    /// Until `stop`.
    public mutating func run() {
        now = MonotonicClock.now()
        while !isStopped {
            arm()
            let count = poller.wait(timeoutNanoseconds: mustNotSleep ? 0 : nil)
            now = MonotonicClock.now()
            for index in 0..<count {
                if let event = poller.event(index) { take(event) }
            }
            work()
        }
    }

    public mutating func stop() { isStopped = true }

    /// A timer of its own, armed only when a deadline moves forward, costs less than a time limit on every
    /// wait.
    @inline(__always)
    private mutating func arm() {
        let deadline = min(lane.nextDeadline, listenAgainAt)
        guard deadline < armedFor else { return }
        armedFor = deadline
        timer.set(armedFor)
    }

    // MARK: One wake-up

    private mutating func take(_ event: PollEvent) {
        if event.slot == mailboxSlot {
            for work in mailbox.takeAll() {
                drainEffects()
                work(&self)
            }
            return
        }
        if event.slot == timerSlot {
            timer.drain()
            armedFor = .never
            return
        }
        if event.slot >= listenerSlot { return accept(event.slot - listenerSlot) }
        let id = sockets[event.slot].id
        if sockets[event.slot].isConnecting {
            if event.isWritable || event.isClosed { finishConnect(event.slot) }
            if sockets[event.slot].id != id || sockets[event.slot].isConnecting { return }
        }
        if event.isWritable {
            if !sockets[event.slot].isWritable {
                sockets[event.slot].isWritable = true
                send(id)
            } else if sockets[event.slot].watchesWritable && !event.isReadable {
                watch(event.slot, writable: false)
            }
        }
        if event.isClosed || event.readiness.contains(.peerClosed) {
            sockets[event.slot].hasEnded = true
            lane.peerHasClosed(id, now: now)
        }
        if event.isReadable || event.isClosed, !sockets[event.slot].isReadable {
            sockets[event.slot].isReadable = true
            sockets.appendReadable(id)
        }
    }

    /// Receives, lets the lane decide, sends; again as long as one makes room for the other.
    private mutating func work() {
        if lane.nextDeadline <= now { lane.tick(now: now) }
        if listenAgainAt <= now { listenAgain() }
        drainEffects()
        var rounds = 0
        var isMoving = true
        while isMoving && rounds < 8 {
            rounds += 1
            isMoving = receiveAll()
            if lane.settle() { isMoving = true }
            drainEffects()
            if sendAll() { drainEffects() }
            if sockets.readableCount == 0 { break }
        }
        // What is still readable waits for slots or memory; only the next event can free some. But if the
        // rounds ran out while bytes were moving, the poller must not sleep on them.
        mustNotSleep = isMoving && sockets.readableCount > 0
    }

    /// Returns whether anything came.
    @inline(never)
    private mutating func receiveAll() -> Bool {
        var kept = 0
        var moved = false
        var at = 0
        // Entries may be added on the way.
        while at < sockets.readableCount {
            let id = sockets.readable(at: at)
            at &+= 1
            let slot = Int(id.index)
            guard sockets[slot].id == id, sockets[slot].descriptor >= 0 else { continue }
            if receive(id, slot) { moved = true }
            if sockets[slot].id == id && sockets[slot].isReadable {
                sockets.keepReadable(id, at: kept)
                kept += 1
            }
        }
        sockets.truncateReadable(to: kept)
        return moved
    }

    /// Takes what the kernel has for a stream, as far as the lane has room. Returns whether anything came.
    private mutating func receive(_ id: StreamID, _ slot: Int) -> Bool {
        var moved = false
        // A bound, so that one busy stream does not starve the others.
        for _ in 0..<32 {
            guard let space = lane.receiveSpace(id) else { return moved }
            let count = unsafe linux_receive(sockets[slot].descriptor, space.base, space.count)
            if count > 0 {
                moved = true
                lane.received(id, count: count, now: now)
                if count < space.count && !sockets[slot].hasEnded {
                    sockets[slot].isReadable = false
                    return true
                }
                continue
            }
            sockets[slot].isReadable = false
            if count == -Int(EAGAIN) { return moved }
            lose(id, Int32(-count))
            return true
        }
        return moved
    }

    /// Returns whether a stream was lost on the way.
    @inline(__always)
    private mutating func sendAll() -> Bool {
        while let id = lane.takeDirty() { send(id) }
        return true
    }

    private mutating func send(_ id: StreamID) {
        let slot = Int(id.index)
        while sockets[slot].id == id && sockets[slot].isWritable && !sockets[slot].isConnecting {
            let batch = unsafe lane.sendVectors(id, into: vectors, capacity: Self.vectorCapacity)
            guard batch.count > 0 else { return }
            let sent = unsafe linux_send_pieces(
                sockets[slot].descriptor, UnsafeRawPointer(vectors).assumingMemoryBound(to: iovec.self),
                batch.count, batch.hasMore)
            if sent > 0 {
                if sent < batch.byteCount { wait(slot) }
                if !lane.sent(id, count: sent) { return }
                continue
            }
            wait(slot)
            if sent != -Int(EAGAIN) { lose(id, Int32(-sent)) }
        }
    }

    /// The kernel says that a stream has ended: `errno` 0 for an orderly end.
    @inline(never)
    private mutating func lose(_ id: StreamID, _ errno: Int32) {
        let reason = errno == 0 ? "the other end closed the connection" : "\(Errno(rawValue: errno))"
        let byPeer = [0, ECONNRESET, EPIPE].contains(errno)
        lane.closed(id, reason: reason, byPeer: byPeer, now: now)
        drainEffects()
    }

    /// The socket takes no more for now.
    @inline(never)
    private mutating func wait(_ slot: Int) {
        sockets[slot].isWritable = false
        if !sockets[slot].watchesWritable { watch(slot, writable: true) }
    }

    private mutating func watch(_ slot: Int, writable: Bool) {
        sockets[slot].watchesWritable = writable
        // Setting the same again makes the poller look: room that came in between is not missed.
        try? poller.modify(
            sockets[slot].descriptor, slot: slot,
            for: writable ? .stream : [.readable, .peerClosed, .edgeTriggered])
    }

    // MARK: Effects

    @inline(never)
    private mutating func drainEffects() {
        while let effect = lane.takeEffect() {
            switch effect {
            case .connect(let id, let route, let userTimeout): connect(id, route, userTimeout)
            case .connectElsewhere(let id, let route, let portal, let userTimeout):
                connect(Redirection(id: id, route: route, userTimeout: userTimeout, portal: portal))
            case .inspect(let id): inspect(id)
            case .close(let id): close(id)
            case .abort(let id): abort(id)
            case .notice(let notice): onNotice(notice)
            }
        }
    }

    private mutating func register(_ id: StreamID, _ descriptor: Int32, isConnecting: Bool)
        throws(SystemError)
    {
        let slot = Int(id.index)
        try poller.add(
            descriptor, slot: slot, for: isConnecting ? .stream : [.readable, .peerClosed, .edgeTriggered])
        sockets[slot] = StreamSocket(
            descriptor: descriptor, id: id, isConnecting: isConnecting, watchesWritable: isConnecting)
    }

    private mutating func close(_ id: StreamID) {
        lookUps.remove(id)
        let slot = Int(id.index)
        guard sockets[slot].id == id, sockets[slot].descriptor >= 0 else { return }
        poller.remove(sockets[slot].descriptor, slot: slot)
        // Not close(2) alone: a copy of the descriptor elsewhere must not keep the peer waiting.
        _ = Glibc.shutdown(sockets[slot].descriptor, Int32(SHUT_RDWR))
        _ = Glibc.close(sockets[slot].descriptor)
        sockets[slot] = StreamSocket()
    }

    /// Throws away what TCP has not sent, and tells the peer so (RST).
    private mutating func abort(_ id: StreamID) {
        let slot = Int(id.index)
        guard sockets[slot].id == id, sockets[slot].descriptor >= 0 else { return }
        TCPConnection.abort(sockets[slot].descriptor)
    }

    private func report(_ id: StreamID) -> TransportReport? {
        let slot = Int(id.index)
        guard sockets[slot].id == id, sockets[slot].descriptor >= 0 else { return nil }
        return (try? TCPInfo(of: sockets[slot].descriptor))?.report
    }

    private mutating func inspect(_ id: StreamID) {
        if let report = report(id) { lane.inspected(id, report, now: now) }
    }

    private mutating func connect(
        _ id: StreamID, _ route: RouteID, _ userTimeoutMilliseconds: UInt32,
        elsewhere: SocketAddress? = nil
    ) {
        guard var way = routes[route] else {
            return lane.connectFailed(id, reason: "the route is not known", now: now)
        }
        if let elsewhere {
            way.destination = elsewhere
            if let source = way.source, source.family != elsewhere.address.family { way.source = nil }
        }
        do throws(SystemError) {
            let descriptor = try TCPConnection.connect(
                way, options: TCPOptions(userTimeoutMilliseconds: userTimeoutMilliseconds))
            try register(id, descriptor.release(), isConnecting: true)
        } catch {
            lane.connectFailed(id, reason: "\(error)", now: now)
        }
    }

    private mutating func connect(_ redirection: Redirection) {
        let portal = redirection.portal
        guard let address = SocketAddress(parsing: "\(portal)", defaultPort: portal.port) else {
            return lookUp(redirection)
        }
        connect(redirection.id, redirection.route, redirection.userTimeout, elsewhere: address)
    }

    /// A resolver may take seconds, so the name has a thread of its own; the lane's time limit for the
    /// connection counts on meanwhile.
    private mutating func lookUp(_ redirection: Redirection) {
        let (id, portal, mailbox) = (redirection.id, redirection.portal, mailbox)
        guard lookUpThreads < Self.lookUpThreadsMax else {
            return lane.connectFailed(
                id, reason: "the target redirects to \(portal), and too many names are looked up just now",
                now: now)
        }
        do throws(SystemError) {
            let thread = try startThread(name: "causeway names") {
                let found: Result<[SocketAddress], NameError>
                do throws(NameError) {
                    found = .success(try NameResolver.resolve("\(portal)", defaultPort: portal.port))
                } catch {
                    found = .failure(error)
                }
                mailbox.send { $0.lookedUp(redirection, found) }
            }
            _ = consume thread
            lookUpThreads += 1
            lookUps.insert(id)
        } catch {
            lane.connectFailed(id, reason: "\(error)", now: now)
        }
    }

    private mutating func lookedUp(
        _ redirection: Redirection, _ found: Result<[SocketAddress], NameError>
    ) {
        lookUpThreads -= 1
        // The lane may have given the attempt up.
        guard lookUps.remove(redirection.id) != nil else { return }
        switch found {
        case .success(let addresses):
            let family = routes[redirection.route]?.destination.address.family
            let address = addresses.first { $0.address.family == family } ?? addresses.first
            connect(redirection.id, redirection.route, redirection.userTimeout, elsewhere: address)
        case .failure(let error):
            lane.connectFailed(
                redirection.id, reason: "the target redirects to \(redirection.portal): \(error)", now: now)
        }
    }

    private mutating func finishConnect(_ slot: Int) {
        let id = sockets[slot].id
        if let errno = TCPConnection.takeError(of: sockets[slot].descriptor) {
            lane.connectFailed(id, reason: "\(errno)", now: now)
        } else {
            sockets[slot].isConnecting = false
            lane.connected(id, now: now)
        }
        drainEffects()
    }

    private mutating func accept(_ index: Int) {
        guard listeners.indices.contains(index), let listener = listeners[index] else { return }
        do throws(SystemError) {
            while let client = try TCPConnection.accept(listener.descriptor) {
                let descriptor = client.release()
                if listener.passOn?(descriptor) == true { continue }
                addClient(listener.disk, descriptor, negotiates: true)
            }
        } catch {
            // Out of descriptors, say. The connection still waits, so the poller would report it for ever.
            try? poller.modify(listener.descriptor, slot: listenerSlot + index, for: [])
            listenAgainAt = now.adding(milliseconds: 1000)
        }
    }

    /// Listeners that were put aside are heard again.
    private mutating func listenAgain() {
        listenAgainAt = .never
        for index in listeners.indices {
            guard let listener = listeners[index] else { continue }
            try? poller.modify(listener.descriptor, slot: listenerSlot + index, for: .readable)
        }
    }

    // MARK: For the work of other threads

    public mutating func addRoute(_ id: RouteID, _ route: Route) { routes[id] = route }
    public mutating func removeRoute(_ id: RouteID) { routes[id] = nil }
    public var time: Instant { now }

    /// Hands an NBD client's socket to its disk; it is closed if the disk does not take it.
    @discardableResult
    public mutating func addClient(_ disk: DiskID, _ descriptor: Int32, negotiates: Bool) -> Bool {
        guard let id = lane.addClient(disk, negotiates: negotiates, now: now) else {
            _ = Glibc.close(descriptor)
            return false
        }
        drainEffects()
        do throws(SystemError) {
            // Whoever made it: a lane waits in no call.
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
            try register(id, descriptor, isConnecting: false)
            return true
        } catch {
            lane.closed(id, reason: "\(error)", now: now)
            _ = Glibc.close(descriptor)
            return false
        }
    }

    /// Takes requests of a disk's clients again after `Lane.quiesce`.
    public mutating func resumeClients(of disk: DiskID) {
        lane.resume(disk)
        for id in lane.clients(of: disk)
        where sockets[Int(id.index)].id == id && !sockets[Int(id.index)].isReadable {
            sockets[Int(id.index)].isReadable = true
            sockets.appendReadable(id)
        }
    }

    /// Lets go of a quiet disk's clients without closing their sockets, which are the caller's from now on.
    public mutating func handOverClients(of disk: DiskID) -> [Int32] {
        var descriptors: [Int32] = []
        for id in lane.clients(of: disk) {
            let slot = Int(id.index)
            guard sockets[slot].id == id, sockets[slot].descriptor >= 0 else { continue }
            poller.remove(sockets[slot].descriptor, slot: slot)
            descriptors.append(sockets[slot].descriptor)
            sockets[slot] = StreamSocket()
            lane.handOver(id)
        }
        return descriptors
    }

    /// The processes that are connected to a disk's export socket; the kernel's driver is none.
    public func clientProcesses(of disk: DiskID) -> [Int32] {
        lane.clients(of: disk).compactMap { id in
            let socket = sockets[Int(id.index)]
            guard socket.id == id, socket.descriptor >= 0 else { return nil }
            return (try? PeerCredentials(of: socket.descriptor))?.processID
        }
    }

    /// Takes NBD clients of a disk from a listening socket until `stopListening`. The descriptor stays the
    /// caller's.
    /// - Parameter passOn: takes a client to another lane, or returns false: then it is served here.
    public mutating func listen(
        _ descriptor: Int32, for disk: DiskID, passOn: (@Sendable (Int32) -> Bool)? = nil
    ) throws(SystemError) {
        let index = listeners.firstIndex { $0 == nil } ?? listeners.count
        guard index < Self.listenerCapacity else {
            throw SystemError(call: "listen", errno: .tooManyOpenFiles, subject: "too many export sockets")
        }
        try poller.add(descriptor, slot: listenerSlot + index, for: .readable)
        let listener = LaneListener(descriptor: descriptor, disk: disk, passOn: passOn)
        if index == listeners.count { listeners.append(listener) } else { listeners[index] = listener }
    }

    public mutating func stopListening(for disk: DiskID) {
        for index in listeners.indices {
            guard let listener = listeners[index], listener.disk == disk else { continue }
            poller.remove(listener.descriptor, slot: listenerSlot + index)
            listeners[index] = nil
        }
    }
}
