public import CausewayCore

/// What a successor knows of a session.
struct RecordedSession {
    /// LUN fields that it may have written to.
    var units: Set<UInt64> = []
    /// A login was answered. Without that it has written nothing.
    var hasStood = false
    var portalGroupTag: UInt16?
}

/// One daemon after the other serves the same kernel: the first one dies, or hands over.
extension World {
    /// The session that paths share.
    private static let sharedSession = -1

    private func isid(of session: Int) -> InitiatorSessionID {
        InitiatorSessionID(hash: UInt64(bitPattern: Int64(session)) &+ 77)
    }

    /// Under which the session of a path is on record.
    private func session(of path: Int) -> Int {
        multipathing == .connections ? Self.sharedSession : path
    }

    /// Under which a session is on record.
    func recordIndex(of name: SessionName) -> Int? {
        (Self.sharedSession..<routes.count).first { isid(of: $0) == name.isid }
    }

    private var activeSessions: Set<Int> { Set(activePaths.map(session(of:))) }

    /// The paths of the present daemon, and for sessions on record that it would not make a fence each.
    func pathSpecifications() -> [PathSpecification] {
        let active = activeSessions
        for route in recorded.keys where !active.contains(route) && recorded[route]?.hasStood != true {
            recorded[route] = nil
        }
        let old = recorded.keys.filter { !active.contains($0) }.sorted()
        return activePaths.map { specification($0) } + old.map { fence($0) }
    }

    /// A path by its route. Its session is on record afterwards.
    func specification(_ route: Int) -> PathSpecification { specification(route, session(of: route)) }

    /// For a session on record.
    private func fence(_ session: Int) -> PathSpecification {
        var specification = specification(max(session, 0), session)
        specification.isFenceOnly = true
        return specification
    }

    private func specification(_ route: Int, _ session: Int) -> PathSpecification {
        let path = routes[route]
        var specification = PathSpecification(
            route: RouteID(rawValue: Int32(route)), interface: "eth\(path.interface)",
            sourceAddress: Self.address(interface: path.interface), portal: Self.address(portal: path.portal),
            isid: isid(of: session))
        specification.awaitsRecord = recorded[session]?.hasStood != true
        if let record = recorded[session], record.hasStood, !options.forgetsSessions {
            specification.predecessorUnits = record.units
            specification.predecessorGroupTag = record.portalGroupTag
        }
        recorded[session, default: RecordedSession()].units.formUnion(disks.map(\.lun.rawValue))
        return specification
    }

    /// The record is a file: it takes a moment, in which the daemon may die.
    func putOnRecord(_ name: SessionName, _ tag: UInt16?) {
        let own = life
        timeline.after(recordPace.nanoseconds(10_000...2_000_000)) { [unowned self] in
            guard life == own, let path = recordIndex(of: name) else { return }
            recorded[path]?.hasStood = true
            recorded[path]?.portalGroupTag = tag
            lane.sessionRecorded(name, now: instant)
            work()
        }
    }

    /// SIGKILL, and a successor a moment later. Its configuration may make other paths.
    /// - Parameters:
    ///   - paths: indices into `routes`.
    ///   - multipathing: how the successor uses them; nil: as before.
    public func crash(
        paths: [Int], successorAfter delay: UInt64, multipathing successors: Multipathing? = nil
    ) {
        multipathing = successors ?? multipathing
        chronicle.trace("fault", "the daemon dies")
        for socket in sockets.compactMap({ $0 }) where socket.connection != nil { close(socket.id) }
        for client in clients { client.sever() }
        beginLife(paths: paths, after: delay)
    }

    /// The kernel gives up a socket and gets another one: what it had sent it sends again.
    public func loseClient(of disk: SimulatedDisk, connectsAfter delay: UInt64) {
        chronicle.trace("fault", "a client goes")
        let client = disk.clients[0]
        let own = life
        for index in sockets.indices where sockets[index]?.incoming === client.toLane {
            sockets[index]?.wasReset = true
            if let id = sockets[index]?.id { listReadable(id) }
        }
        client.sever()
        planWork()
        timeline.after(delay) { [unowned self] in
            guard life == own, disk.isReady, !disk.isDetached else { return }
            connect(client, of: disk)
            client.isServedAgain()
            work()
        }
    }

    /// The kernel gives up a socket, and what it has sent there is still to be read; the lane hears of it
    /// first. It gets no other before `loseClient`.
    public func giveUpSocket(of disk: SimulatedDisk) {
        let client = disk.clients[0]
        client.giveUp()
        for socket in sockets.compactMap({ $0 }) where socket.incoming === client.toLane {
            lane.peerHasClosed(socket.id, now: instant)
        }
        planWork()
    }

    private func beginLife(paths: [Int], after delay: UInt64) {
        life += 1
        let own = life
        sockets = Array(repeating: nil, count: options.lane.streamCapacity)
        readable = []
        for disk in disks {
            disk.isReady = false
            disk.isDetached = false
        }
        isHandingOver = false
        lane = Lane(settings: options.lane)
        activePaths = paths
        timeline.after(delay) { [unowned self] in
            guard life == own else { return }
            attach()
        }
    }

    /// A planned restart: the disk is drained and its client handed over. If that takes too long, the
    /// successor starts as after a crash.
    public func handOver(paths: [Int], successorAfter delay: UInt64) {
        guard isReady, !isHandingOver else { return }
        chronicle.trace("fault", "the daemon hands over")
        isHandingOver = true
        for disk in disks { lane.quiesce(disk.id) }
        poll(until: timeline.now + 3_000_000_000) { [unowned self] in
            guard disks.allSatisfy({ lane.isQuiet($0.id) }) else { return false }
            for id in disks.flatMap({ lane.clients(of: $0.id) }) {
                lane.handOver(id)
                sockets[Int(id.index)] = nil
            }
            detach(force: false)
            poll(until: timeline.now + 60_000_000_000) { [unowned self] in
                guard isDetached else { return false }
                beginLife(paths: paths, after: delay)
                return true
            } otherwise: { [unowned self] in
                chronicle.fail("a disk that hands over is not detached")
            }
            return true
        } otherwise: { [unowned self] in
            crash(paths: paths, successorAfter: delay)
        }
    }

    private func poll(
        until deadline: UInt64, _ isDone: @escaping () -> Bool, otherwise: @escaping () -> Void
    ) {
        let own = life
        timeline.after(5_000_000) { [unowned self] in
            guard life == own else { return }
            if isDone() { return }
            guard timeline.now < deadline else { return otherwise() }
            poll(until: deadline, isDone, otherwise: otherwise)
        }
    }

    /// Daemons that have served so far.
    public var daemons: Int { life + 1 }

    /// Sessions that a successor would have to fence.
    public var hasRecords: Bool { !recorded.isEmpty }

    /// Sessions of a predecessor that the present daemon has still to fence, other than its own.
    public var hasForeignRecords: Bool {
        let active = activeSessions
        return recorded.keys.contains { !active.contains($0) }
    }
}
