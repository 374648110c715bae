import CausewayCore

/// What the lane wants done in its world: connections, clients, notices.
extension World {
    func drainEffects() {
        repeat {
            while let effect = lane.takeEffect() { carryOut(effect) }
            // Not in the middle of effects: the stream may be one that is still to be closed.
        } while connectClients()
    }

    private func carryOut(_ effect: LaneEffect) {
        switch effect {
        case .connect(let id, let route, _): connect(id, route)
        case .connectElsewhere(let id, let route, let address, _):
            guard let portal = Self.portal(address) else {
                return lane.connectFailed(id, reason: "no route to \(address)", now: instant)
            }
            connect(id, route, portal: portal)
        case .inspect(let id): inspect(id)
        case .close(let id): close(id)
        case .abort(let id): if isCurrent(id) { sockets[Int(id.index)]?.connection?.toTarget.abort() }
        case .notice(let notice): take(notice)
        }
    }

    /// False if there is none to connect.
    private func connectClients() -> Bool {
        let disks = arrived
        arrived = []
        for disk in disks {
            for client in disk.clients { connect(client, of: disk) }
        }
        return !disks.isEmpty
    }

    func open(_ socket: Socket) {
        let id = socket.id
        guard sockets[Int(id.index)] == nil else { return chronicle.fail("stream \(id.index) is used twice") }
        sockets[Int(id.index)] = socket
        let life = life
        socket.incoming.onArrival = { [unowned self] in
            guard isCurrent(id, in: life) else { return }
            listReadable(id)
            planWork()
        }
        socket.outgoing.onRoom = { [unowned self] in
            guard isCurrent(id, in: life) else { return }
            send(id)
            work()
        }
        if hasNews(socket) {
            listReadable(id)
            planWork()
        }
    }

    private func inspect(_ id: StreamID) {
        guard isCurrent(id), let connection = sockets[Int(id.index)]?.connection else { return }
        inspectionCount += 1
        lane.inspected(id, connection.report(now: timeline.now), now: instant)
    }

    static func address(portal: Int) -> String { "198.51.100.\(portal):3260" }
    static func address(interface: Int) -> String { "192.0.2.\(interface)" }

    private static func portal(_ address: PortalAddress) -> Int? {
        address.host.hasPrefix("198.51.100.") ? Int(address.host.dropFirst(11)) : nil
    }

    private func connect(_ id: StreamID, _ route: RouteID, portal: Int? = nil) {
        var path = routes[Int(route.rawValue)]
        if let portal { path.portal = portal }
        let life = life
        let connection = network.connect(interface: path.interface, portal: path.portal) {
            [unowned self] connection, problem in
            guard isCurrent(id, in: life) else { return }
            if let problem {
                lane.connectFailed(id, reason: problem, now: instant)
            } else {
                sockets[Int(id.index)]?.isConnecting = false
                lane.connected(id, now: instant)
            }
            work()
        }
        chronicle.trace(
            "lane",
            "connects c\(connection.number), stream \(id.index), eth\(path.interface) portal \(path.portal)"
        )
        connection.onResetAtInitiator = { [unowned self] in
            guard isCurrent(id, in: life) else { return }
            sockets[Int(id.index)]?.wasReset = true
            listReadable(id)
            planWork()
        }
        open(
            Socket(
                id: id, incoming: connection.toInitiator, outgoing: connection.toTarget,
                connection: connection,
                isConnecting: true))
    }

    func close(_ id: StreamID) {
        guard isCurrent(id), let socket = sockets[Int(id.index)] else {
            return chronicle.fail("the lane closes stream \(id.index), which is not open")
        }
        sockets[Int(id.index)] = nil
        chronicle.trace(
            "lane", "closes \(socket.connection.map { "c\($0.number)" } ?? "client"), stream \(id.index)")
        if let connection = socket.connection {
            connection.isOpenAtInitiator = false
            connection.toInitiator.breakOff()
            // What the kernel has taken goes on, as a rule: the ghost write.
            connection.toTarget.finish(.finished)
        } else {
            socket.outgoing.finish(.finished)
        }
    }

    /// A disk of this world; a notice of any other is a failure.
    private func disk(_ id: DiskID, _ complaint: String) -> SimulatedDisk? {
        let disk = disks.first { $0.id == id }
        if disk == nil { chronicle.fail(complaint) }
        return disk
    }

    private func take(_ notice: LaneNotice) {
        switch notice {
        case .ready(let id, let description):
            guard let disk = disk(id, "another disk is ready") else { return }
            chronicle.trace("lane", "\(disk.name) is ready")
            disk.isReady = true
            disk.description = description
            disk.sizeBytes = max(disk.sizeBytes, description.export.sizeBytes)
            arrived.append(disk)
        case .notReady(_, let problems):
            self.problems = problems
            for problem in problems { chronicle.trace("lane", "not ready: \(problem.text)") }
        case .sessionBegan(let name, let tag):
            putOnRecord(name, tag)
        case .sessionEnded(let name, _, let unfenced):
            chronicle.trace("lane", "session \(name.isid) ended, unfenced \(unfenced.sorted())")
            guard let path = recordIndex(of: name) else { break }
            if unfenced.isEmpty { recorded[path] = nil } else { recorded[path]?.units = unfenced }
        case .pathChanged(_, let interface, let portal, let isUp, let reason):
            if !isUp && said.count < 1000 { said.append(reason) }
            chronicle.trace("lane", "\(interface) \(portal) \(isUp ? "up" : "down \(reason)")")
        case .pathRemoved(_, let name, _):
            removedCount += 1
            chronicle.trace("lane", "path \(name.isid) removed")
        case .clientGone: chronicle.trace("lane", "client gone")
        case .writesLost(let id, let isTold):
            guard let disk = disk(id, "another disk lost writes") else { return }
            chronicle.trace("lane", "\(disk.name) lost writes\(isTold ? ", and said so" : "")")
            disk.hasLostWrites = !isTold
        case .flushed(_, let error):
            chronicle.trace("lane", "flushed: \(error)")
            flushes.append(error)
        case .registrationChanged(_, let registration):
            chronicle.trace("lane", "registration \(registration.map { "\($0)" } ?? "none")")
            self.registration = registration
        case .reservationEnded(_, _, let result): reservation = result
        case .detached(let id, let isFlushed):
            guard let disk = disk(id, "another disk is detached") else { return }
            chronicle.trace("lane", "\(disk.name) is detached")
            disk.isDetached = true
            disk.wasFlushed = isFlushed
        case .sizeChanged(let id, let size):
            chronicle.trace("lane", "the LUN has \(size) bytes")
            guard let disk = disks.first(where: { $0.id == id }), size > disk.sizeBytes else {
                return chronicle.fail("a disk is to shrink to \(size) bytes")
            }
            disk.sizeBytes = size
            lane.resize(id, sizeBytes: size, now: instant)
        case .disk(_, let severity, let text), .event(let severity, let text):
            if said.count < 1000 { said.append(text) }
            chronicle.trace("lane", text)
            if keepsLog { log.append((severity, text)) }
        }
    }
}
