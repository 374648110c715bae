public import CausewayCore

/// What a world is made of.
public struct WorldOptions: Sendable {
    public var seed: UInt64 = 1
    public var interfaceCount = 2
    /// (interface, portal) of each path.
    public var paths: [(interface: Int, portal: Int)] = [(0, 0), (1, 1)]
    public var target = TargetOptions()
    public var unit = LogicalUnitOptions()
    /// LUNs of the target that are attached, all alike.
    public var diskCount = 1
    /// More paths may come later, among them the one that the policy prefers.
    public var waitsForPaths = false
    public var clientsPerDisk = 1
    /// Clients come through the handshake and ask for structured replies. They do not outlive their daemon.
    public var clientsNegotiate = false
    /// Portals that show a LUN with another identity.
    public var impostorPortals: Set<Int> = []
    public var lane = WorldOptions.smallLane
    public var settings = DiskSettings()
    /// The first disk is a shard of one with several queues; the others are in other worlds.
    public var share: DiskShare?
    public var parameters = WantedParameters()
    public var weather = Weather()
    public var clientWeather = Weather()
    /// A receive takes at most so many bytes, and a send as well.
    public var receiveBytes = 1 << 20
    public var sendBytes = 1 << 20
    /// How often a pipe of the shell is full before its time.
    public var isTracing = false
    /// A successor knows nothing of its predecessor's sessions: such histories must fail.
    public var forgetsSessions = false

    public init() {}

    /// Tables for more disks than a small lane has.
    public static func laneForDisks(_ count: Int) -> LaneSettings {
        var settings = smallLane
        settings.diskCapacity = max(settings.diskCapacity, count)
        settings.streamCapacity += count
        settings.reservedTasks += 4 * count
        settings.taskCapacity += 20 * count
        settings.requestCapacity += 16 * count
        settings.chunkCount += 2 * count
        return settings
    }

    /// A lane whose tables are small: a world is made in microseconds, and tables run out.
    public static var smallLane: LaneSettings {
        var settings = LaneSettings()
        settings.taskCapacity = 128
        settings.reservedTasks = 16
        settings.requestCapacity = 64
        settings.streamCapacity = 32
        settings.pathCapacity = 16
        settings.diskCapacity = 4
        settings.targetCapacity = 4
        settings.chunkBytes = 1 << 17
        settings.chunkCount = 48
        settings.reservedChunks = 12
        settings.pieceBytes = 1 << 16
        settings.maxRecvDataSegmentLength = 1 << 16
        settings.sendQueueCapacity = 256
        settings.requestsPerClient = 64
        return settings
    }
}

/// The real lane between a simulated client, network and target, in virtual time. It calls the lane as the
/// shell does: effects are carried out before anything is sent.
///
/// Safe because the one array of vectors lives as long as the world and is only filled by the lane up to its
/// capacity.
@safe
public final class World {
    public let options: WorldOptions
    let timeline = Timeline()
    public let chronicle: Chronicle
    let network: Network
    public let target: SimulatedTarget
    public let disks: [SimulatedDisk]
    public internal(set) var lane: Lane
    /// How flushes ended that no client asked for.
    public internal(set) var flushes: [NBDError] = []
    /// Numbers the daemons that have served: what was meant for an earlier one is not for the next.
    var life = 0
    /// Paths that the present daemon makes, of `routes`.
    public internal(set) var activePaths: [Int]
    /// How the present daemon uses the paths.
    var multipathing: Multipathing
    /// Sessions on record, by path; the one that paths share under -1.
    var recorded: [Int: RecordedSession] = [:]
    /// How long records take.
    let recordPace: RandomStream
    /// A daemon is on its way out.
    public internal(set) var isHandingOver = false
    /// Lines that the lane wrote, if they are kept.
    public var keepsLog = false
    public internal(set) var log: [(severity: LaneNotice.Severity, text: String)] = []
    /// Problems that `notReady` named.
    public internal(set) var problems: [PathProblem] = []
    /// What the lane has said.
    public internal(set) var said: [String] = []

    struct Socket {
        var id: StreamID
        var incoming: Pipe
        var outgoing: Pipe
        var connection: Connection?
        var isConnecting: Bool
        var wasReset = false
        var isListed = false
        /// Bytes that the lane has received here since splits are counted.
        var received = 0
        /// A receive ends where so many have come.
        var split = Int.max
    }

    /// (interface, portal) by route.
    public internal(set) var routes: [(interface: Int, portal: Int)]
    /// Paths that were removed and are gone.
    public internal(set) var removedCount = 0
    var sockets: [Socket?]
    var readable: [StreamID] = []
    /// Disks that are ready, their clients not yet connected.
    var arrived: [SimulatedDisk] = []
    var isWorkPlanned = false
    var checksBoundsAt: UInt64 = 0
    /// How often the lane asked what TCP knows.
    public internal(set) var inspectionCount = 0
    let vectors: UnsafeMutablePointer<IOVector>
    static let vectorCapacity = 64

    public init(_ options: WorldOptions) {
        self.options = options
        chronicle = Chronicle(timeline: timeline, isTracing: options.isTracing)
        network = Network(
            timeline, RandomStream(seed: options.seed, "network"), chronicle,
            interfaceCount: options.interfaceCount,
            portalCount: options.target.portalGroups.count, weather: options.weather)
        target = SimulatedTarget(
            name: Self.targetName, options: options.target, timeline: timeline,
            random: RandomStream(seed: options.seed, "target"), chronicle: chronicle)
        var disks: [SimulatedDisk] = []
        for index in 0..<options.diskCount {
            var unit = options.unit
            unit.identity += 16 * UInt64(index)
            let made = SimulatedUnit(
                options: unit, lun: Self.lun.rawValue + UInt64(index) << 48,
                random: RandomStream(seed: options.seed, index == 0 ? "unit" : "unit \(index)"),
                chronicle: chronicle)
            target.add(made)
            disks.append(
                SimulatedDisk(
                    index: index, unit: made, options: options, timeline: timeline, chronicle: chronicle))
        }
        self.disks = disks
        clients = disks.flatMap(\.clients)
        for portal in options.impostorPortals {
            var other = options.unit
            other.identity += 1
            target.impostors[portal] = SimulatedUnit(
                options: other, lun: Self.lun.rawValue, random: RandomStream(seed: options.seed, "impostor"),
                chronicle: chronicle)
            target.impostors[portal]?.isImpostor = true
        }
        multipathing = options.settings.multipathing
        recordPace = RandomStream(seed: options.seed, "records")
        lane = Lane(settings: options.lane)
        routes = options.paths
        activePaths = Array(options.paths.indices)
        sockets = Array(repeating: nil, count: options.lane.streamCapacity)
        unsafe vectors = .allocate(capacity: Self.vectorCapacity)
        network.isListening = { [unowned self] _ in !target.isDown }
        network.onAccept = { [unowned self] in target.accept($0) }
        target.onCacheLost = { [unowned self] in
            for disk in self.disks {
                disk.oracle.cacheLost()
                for client in disk.clients { client.cacheLost() }
            }
        }
    }

    deinit {
        timeline.clear()
        network.forget()
        target.forget()
        unsafe vectors.deallocate()
    }

    static let targetName = "iqn.2026-01.example:simulated"
    static let lun = LogicalUnitNumber(rawValue: 1 << 48)
    /// The field of a PDU that names the first LUN.
    public static var firstLUN: UInt64 { lun.rawValue }
    var instant: Instant { Instant(nanoseconds: timeline.now) }
    /// Virtual nanoseconds since the beginning.
    public var elapsed: UInt64 { timeline.now - 1_000_000_000 }
    public var failure: String? { chronicle.failure }

    /// As it is on record, and what came of the newest command.
    public internal(set) var registration: DiskRegistration?
    var reservation: Result<ReservationReport, ReservationError>?

    // MARK: The disks

    /// What changes in a world's middle is the first disk's.
    public var disk: DiskID { disks[0].id }
    var unit: SimulatedUnit { disks[0].unit }

    /// Of the first disk, the first.
    public var client: NBDClient { disks[0].clients[0] }
    public let clients: [NBDClient]
    public var isReady: Bool { disks.allSatisfy(\.isReady) }
    public var isDetached: Bool { disks.allSatisfy(\.isDetached) }
    public var isIdle: Bool { clients.allSatisfy(\.isIdle) }

    /// Attaches the disks; their clients connect as soon as they are ready.
    public func attach() {
        let paths = pathSpecifications()
        for disk in disks { attach(disk, paths) }
    }

    func attach(_ disk: SimulatedDisk, _ paths: [PathSpecification]) {
        guard let name = try? ISCSIName(Self.targetName),
            let initiator = try? ISCSIName("iqn.2026-01.example:initiator")
        else {
            return chronicle.fail("the simulator's own names are not names")
        }
        var specification = DiskSpecification(
            name: disk.name, target: name, initiatorName: initiator, lun: disk.lun, paths: paths,
            settings: options.settings)
        specification.registration = registration
        if disk.index == 0 { specification.share = options.share }
        specification.settings.multipathing = multipathing
        specification.parameters = options.parameters
        specification.authentication = options.target.chap.authentication(seed: options.seed)
        if life > 0, let description = disk.description {
            specification.expected = ExpectedUnit(
                wwid: description.report.identity.wwid, sizeBytes: disk.sizeBytes,
                logicalBlockLength: description.report.limits.logicalBlockLength)
            specification.mayHaveUnflushedWrites = true
            specification.hasLostWrites = disk.hasLostWrites
            specification.mayLackPreferred = true
        }
        if options.waitsForPaths { specification.mayLackPreferred = true }
        do throws(AttachError) {
            disk.id = try lane.attach(specification, now: instant)
        } catch {
            chronicle.fail("attach: \(error)")
        }
        work()
    }

    /// A disk that was detached, once more.
    public func attachAgain(_ disk: SimulatedDisk) {
        disk.isReady = false
        disk.isDetached = false
        attach(disk, pathSpecifications())
    }

    public func flush() {
        lane.flush(disk, now: instant)
        work()
    }

    public func detach(force: Bool) {
        for disk in disks { detach(disk, force: force) }
    }

    public func detach(_ disk: SimulatedDisk, force: Bool) {
        lane.detach(disk.id, force: force, now: instant)
        work()
    }

    func connect(_ client: NBDClient, of disk: SimulatedDisk) {
        guard let id = lane.addClient(disk.id, negotiates: client.handshake != nil, now: instant) else {
            return chronicle.fail("the lane refuses its client")
        }
        open(
            Socket(
                id: id, incoming: client.toLane, outgoing: client.fromLane, connection: nil,
                isConnecting: false))
        if life > 0 { client.isServedAgain() }
    }

    // MARK: Time

    /// Lets events happen until `isDone`, for at most `limit` virtual nanoseconds. Returns whether it came to
    /// that.
    @discardableResult
    public func run(limit: UInt64, until isDone: () -> Bool = { false }) -> Bool {
        let end = timeline.now + limit
        var last = timeline.now
        var steps = 0
        while failure == nil {
            steps = timeline.now == last ? steps + 1 : 0
            last = timeline.now
            if steps > 100_000 { chronicle.fail("time stands still: the lane is busy with nothing") }
            if isDone() { return true }
            let next = min(timeline.nextTime ?? .max, lane.nextDeadline.nanoseconds)
            guard next <= end else {
                timeline.advance(to: end)
                return isDone()
            }
            if let time = timeline.nextTime, time <= lane.nextDeadline.nanoseconds {
                timeline.step()
            } else {
                timeline.advance(to: next)
                work()
            }
            if timeline.now >= checksBoundsAt { checkBounds() }
        }
        return false
    }

    /// Now and then: a request that is late stays late.
    func checkBounds() {
        checksBoundsAt = timeline.now + 100_000_000
        for client in clients where client.bound != .max {
            guard let oldest = client.oldest, timeline.now > oldest.begun + client.bound else { continue }
            chronicle.fail("request #\(oldest.cookie) has no answer after \(client.bound / 1_000_000) ms")
        }
    }

    // MARK: The shell

    func planWork() {
        guard !isWorkPlanned else { return }
        isWorkPlanned = true
        timeline.after(0) { [unowned self] in
            isWorkPlanned = false
            work()
        }
    }

    /// One wake-up: what came is given to the lane, it decides, and what it has to say goes out.
    func work() {
        if lane.nextDeadline <= instant { lane.tick(now: instant) }
        drainEffects()
        var rounds = 0
        var isMoving = true
        while isMoving && rounds < 8 {
            rounds += 1
            isMoving = receiveAll()
            lane.settle()
            drainEffects()
            sendAll()
            drainEffects()
            if readable.isEmpty { break }
        }
        if isMoving && !readable.isEmpty { planWork() }
    }

    func isCurrent(_ id: StreamID, in life: Int) -> Bool { life == self.life && isCurrent(id) }

    func isCurrent(_ id: StreamID) -> Bool { sockets[Int(id.index)]?.id == id }

    func receiveAll() -> Bool {
        var moved = false
        let list = readable
        readable = []
        for id in list where isCurrent(id) {
            sockets[Int(id.index)]?.isListed = false
            if receive(id) { moved = true }
            if isCurrent(id), let socket = sockets[Int(id.index)], hasNews(socket) { listReadable(id) }
        }
        return moved
    }

    func hasNews(_ socket: Socket) -> Bool {
        socket.incoming.arrivedCount > 0 || socket.incoming.end != nil || socket.wasReset
    }

    func listReadable(_ id: StreamID) {
        guard sockets[Int(id.index)]?.isListed == false else { return }
        sockets[Int(id.index)]?.isListed = true
        readable.append(id)
    }

    func receive(_ id: StreamID) -> Bool {
        var moved = false
        for _ in 0..<4 {
            guard let socket = sockets[Int(id.index)], socket.id == id, !socket.isConnecting else {
                return moved
            }
            if socket.wasReset || socket.incoming.arrivedCount == 0 && socket.incoming.end != nil {
                let reason =
                    socket.wasReset || socket.incoming.end == .reset ? "reset" : "closed by the other end"
                lane.closed(id, reason: reason, now: instant)
                drainEffects()
                return true
            }
            guard socket.incoming.arrivedCount > 0, let space = lane.receiveSpace(id) else { return moved }
            let toSplit = socket.split > socket.received ? socket.split - socket.received : .max
            let bytes = socket.incoming.take(min(space.count, options.receiveBytes, toSplit))
            sockets[Int(id.index)]?.received += bytes.count
            moved = true
            unsafe bytes.withUnsafeBytes { source in
                if let base = source.baseAddress {
                    unsafe space.base.copyMemory(from: base, byteCount: source.count)
                }
            }
            lane.received(id, count: bytes.count, now: instant)
        }
        return moved
    }

    func sendAll() {
        while let id = lane.takeDirty() { send(id) }
    }

    func send(_ id: StreamID) {
        while let socket = sockets[Int(id.index)], socket.id == id, !socket.isConnecting, !socket.wasReset {
            let batch = unsafe lane.sendVectors(id, into: vectors, capacity: Self.vectorCapacity)
            if batch.count == 0 { return }
            let most = min(batch.byteCount, min(socket.outgoing.room, options.sendBytes))
            guard most > 0 else {
                socket.outgoing.wantRoom()
                return
            }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(most)
            for index in 0..<batch.count where bytes.count < most {
                let vector = unsafe vectors[index]
                unsafe bytes.append(
                    contentsOf: UnsafeRawBufferPointer(
                        start: vector.base, count: min(vector.count, most - bytes.count)))
            }
            guard bytes.count == most else { return chronicle.fail("vectors hold less than the lane says") }
            socket.outgoing.send(bytes)
            if !lane.sent(id, count: most) { return }
        }
    }

    var openStreams: Int { sockets.count { $0 != nil } }
}
