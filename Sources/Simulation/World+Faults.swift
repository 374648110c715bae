public import CausewayCore

/// What goes wrong, and the verdict.
extension World {
    /// Connections of a path that the initiator holds open.
    private func connections(ofPath index: Int) -> [Connection] {
        let path = options.paths[index]
        return network.living.filter { $0.interface == path.interface && $0.portal == path.portal }
    }

    /// Resets what path `index` has open. With `ghost` what was sent still reaches the target.
    public func cut(path index: Int, ghost: Bool = false) {
        for connection in connections(ofPath: index) {
            if ghost { network.resetInitiator(connection) } else { network.cut(connection) }
        }
    }

    /// Resets every connection.
    public func cutAll() {
        for connection in network.living { network.cut(connection) }
    }

    /// Cuts the open connection of a path after so many more bytes in one direction.
    public func cut(path index: Int, afterBytesToTarget count: Int) {
        for connection in connections(ofPath: index) {
            connection.toTarget.cutAfter = connection.toTarget.passed + count
        }
    }

    public func cut(path index: Int, afterBytesToInitiator count: Int) {
        for connection in connections(ofPath: index) {
            connection.toInitiator.cutAfter = connection.toInitiator.passed + count
        }
    }

    /// Has the target lie on one portal, or tell the truth again.
    public func setScript(_ script: TargetScript?) { target.script = script }

    private func targetEnds(ofPath index: Int) -> [TargetConnection] {
        connections(ofPath: index).compactMap { target.connection($0.number) }
    }

    /// An Asynchronous Message on a path.
    ///
    /// - Parameter other: the path whose connection it is about.
    public func tell(
        path index: Int, _ event: AsynchronousMessage.Event, seconds: (wait: Int, time: Int) = (0, 2),
        about other: Int? = nil
    ) {
        for end in targetEnds(ofPath: index) {
            end.tell(
                event, lun: Self.lun.rawValue, seconds: seconds,
                about: other.flatMap { targetEnds(ofPath: $0).first })
        }
    }

    /// The next command on a path is rejected.
    public func rejectNext(path index: Int, reason: UInt8) {
        for end in targetEnds(ofPath: index) { end.rejectNext(reason) }
    }

    /// Changes a bit on the way, `count` bytes from now, on connections whose digests cover every bit.
    public func damage(path index: Int, toTarget: Bool, after count: Int) {
        for connection in connections(ofPath: index) {
            guard let end = target.connection(connection.number), end.isSealed else { continue }
            chronicle.trace("net", "connection \(connection.number) is to damage a byte")
            if toTarget {
                connection.toTarget.damagedByte = connection.toTarget.accepted + count
            } else {
                end.flip = count
            }
        }
    }

    /// All bytes that the open connections of a path have carried.
    public func bytesCarried(path index: Int) -> (toTarget: Int, toInitiator: Int) {
        connections(ofPath: index).reduce((0, 0)) {
            ($0.0 + $1.toTarget.passed, $0.1 + $1.toInitiator.passed)
        }
    }

    public enum Direction: Sendable { case toTarget, toInitiator, both }

    /// Packets of an interface vanish in one direction or both, silently.
    public func blackHole(interface index: Int, _ direction: Direction) {
        chronicle.trace("net", "eth\(index) swallows \(direction)")
        if direction != .toInitiator { network.interfaces[index].toTarget.shut() }
        if direction != .toTarget { network.interfaces[index].toInitiator.shut() }
    }

    public func blackHole(portal index: Int, _ direction: Direction) {
        chronicle.trace("net", "portal \(index) swallows \(direction)")
        if direction != .toInitiator { network.portals[index].toTarget.shut() }
        if direction != .toTarget { network.portals[index].toInitiator.shut() }
    }

    /// Segments with more bytes vanish on an interface: a switch on the way has a smaller MTU.
    public func limitSegments(interface index: Int, bytes: Int, _ direction: Direction) {
        chronicle.trace("net", "eth\(index) swallows \(direction) what is larger than \(bytes)")
        if direction != .toInitiator { network.interfaces[index].toTarget.limit(bytes) }
        if direction != .toTarget { network.interfaces[index].toInitiator.limit(bytes) }
    }

    /// Every segment of an interface takes so much longer in each direction.
    public func slow(interface index: Int, by nanoseconds: UInt64) {
        chronicle.trace("net", "eth\(index) is slower by \(nanoseconds / 1_000_000) ms")
        network.interfaces[index].toTarget.delay = nanoseconds
        network.interfaces[index].toInitiator.delay = nanoseconds
    }

    public func heal(interface index: Int) {
        chronicle.trace("net", "eth\(index) heals")
        network.interfaces[index].toTarget.open()
        network.interfaces[index].toInitiator.open()
    }

    public func heal(portal index: Int) {
        chronicle.trace("net", "portal \(index) heals")
        network.portals[index].toTarget.open()
        network.portals[index].toInitiator.open()
    }

    /// The cable is pulled, and the kernel says so.
    public func loseCarrier(interface index: Int) {
        network.interfaces[index].hasCarrier = false
        blackHole(interface: index, .both)
        lane.interfaceLost("eth\(index)", reason: "carrier lost", now: instant)
        work()
    }

    public func findCarrier(interface index: Int) {
        network.interfaces[index].hasCarrier = true
        heal(interface: index)
        lane.interfaceFound("eth\(index)", now: instant)
        work()
    }

    /// The address that an interface's paths are bound to goes; nothing from it arrives any more.
    public func loseAddress(interface index: Int) {
        blackHole(interface: index, .both)
        lane.addressLost("eth\(index)", address: Self.address(interface: index), now: instant)
        work()
    }

    /// The process behind a portal hangs: its kernel acknowledges, and nothing more.
    public func stall(portal: Int, _ nanoseconds: UInt64) { target.stall(portal: portal, nanoseconds) }

    public func pauseTarget(_ nanoseconds: UInt64) { target.pause(nanoseconds) }

    /// Ends a pause of the target, and lets connections live that were to be cut.
    public func endFaults() {
        target.endPause()
        target.endStalls()
        for connection in network.living {
            connection.toTarget.cutAfter = nil
            connection.toInitiator.cutAfter = nil
            connection.toTarget.damagedByte = nil
            target.connection(connection.number)?.flip = nil
            target.connection(connection.number)?.nextRejection = nil
        }
    }

    public func restartTarget(downFor nanoseconds: UInt64, losesCache: Bool) {
        target.restart(downFor: nanoseconds, losesCache: losesCache)
    }

    public func shutWindow(_ nanoseconds: UInt64) { target.shutWindow(nanoseconds) }

    /// What comes on each stream from now on is received in two pieces at least, the first of so many bytes.
    public func splitReceives(after count: Int) {
        for index in sockets.indices {
            sockets[index]?.received = 0
            sockets[index]?.split = count
        }
    }

    /// Every portal shows as many blocks as there are.
    public func showAllBlocks() { unit.options.shownBlocks = [:] }

    /// The most bytes that came on one stream since then.
    public var mostReceived: Int { sockets.reduce(0) { max($0, $1?.received ?? 0) } }

    /// A portal shows no LUN any more, as when someone changes its access list.
    public func hideUnit(portal: Int) {
        chronicle.trace("target", "portal \(portal) hides the LUN")
        target.blindPortals.insert(portal)
    }

    public func showUnit(portal: Int) {
        chronicle.trace("target", "portal \(portal) shows the LUN")
        target.blindPortals.remove(portal)
    }

    public func failFlushes(_ isFailing: Bool) { unit.failsSynchronization = isFailing }
    /// The next echo or message has a StatSN out of its order.
    public func confuseStatSN() { target.confusesStatSN = true }
    public func sendAsynchronousMessages() { target.sendAsynchronousMessages() }

    /// Every session is told something that asks for no more than a second attempt.
    public func raiseAttention() {
        for disk in disks { target.raise(.modeParametersChanged, lun: disk.unit.lun) }
    }

    public func growUnit(by count: Int) { resizeUnit(unit.options.blockCount + count) }

    /// The disk is as large as its LUN, unless that has shrunk.
    public var hasUnitSize: Bool {
        let size = snapshot()?.sizeBytes ?? 0
        return size >= UInt64(unit.options.blockCount * unit.options.blockLength)
    }

    public func halfClose(path index: Int) {
        for connection in connections(ofPath: index) { target.halfClose(connection.number) }
    }

    // MARK: What becomes of a LUN

    public enum Replacement: Sendable { case nothing, otherIdentity, otherSerial }

    /// The LUN is taken away; another may be there in its place.
    /// - Parameter tellsAll: every session; otherwise no more than one.
    public func replaceUnit(by replacement: Replacement, tellsAll: Bool = true) {
        var other = options.unit
        switch replacement {
        case .nothing: return target.replace(unit, by: nil, tellsAll: tellsAll)
        case .otherIdentity: other.identity += 77
        case .otherSerial: other.serial = "SIM2"
        }
        let impostor = SimulatedUnit(
            options: other, lun: Self.lun.rawValue, random: RandomStream(seed: options.seed, "other"),
            chronicle: chronicle)
        impostor.isImpostor = true
        target.replace(unit, by: impostor, tellsAll: tellsAll)
    }

    public func restoreUnit() {
        guard target.units[Self.lun.rawValue] !== unit else { return }
        target.replace(unit, by: unit)
    }

    /// Every command of the LUN is answered BUSY.
    public func setBusy(_ isBusy: Bool) { unit.options.busyPermille = isBusy ? 1000 : 0 }

    public func removeUnit(number: Int) {
        guard let lun = LogicalUnitNumber(number) else { return }
        target.remove(lun.rawValue)
        target.raise(.lunsChanged, lun: Self.lun.rawValue)
    }

    public func addUnit(number: Int) {
        guard let lun = LogicalUnitNumber(number) else { return }
        let added = SimulatedUnit(
            options: options.unit, lun: lun.rawValue, random: RandomStream(seed: options.seed, "added"),
            chronicle: chronicle)
        added.isImpostor = true
        target.add(added)
        target.raise(.lunsChanged, lun: Self.lun.rawValue)
    }

    public func resizeUnit(_ blockCount: Int) {
        chronicle.trace("target", "the LUN has \(blockCount) blocks")
        unit.resize(blockCount)
        target.raise(.capacityChanged, lun: Self.lun.rawValue)
    }

    /// The pool behind the LUN has no space, or has again.
    public func fillPool(_ isFull: Bool) {
        chronicle.trace("target", "the pool is \(isFull ? "full" : "not full")")
        unit.isFull = isFull
    }

    /// New access states by target port group, after a transition.
    public func setAccess(_ states: [UInt16: UInt8], after nanoseconds: UInt64 = 0) {
        unit.access?.set(states, after: nanoseconds, timeline)
    }

    public func setPreferred(_ group: UInt16?) { unit.access?.preferred = group }
    public var accessStates: [UInt16: UInt8] { unit.access?.states ?? [:] }

    /// Attempts to connect so far.
    public var connectCount: Int { network.connectCount }

    // MARK: Verdicts

    public func snapshot(_ disk: Int = 0) -> DiskSnapshot? { lane.snapshot(disks[disk].id) }

    /// Paths that carry every disk, or could if their access state were the best, the policy wanted them, or
    /// they were no grey ones.
    public var pathsUp: Int {
        let living: [PathStanding] = [.active, .standby, .suspect, .quarantined]
        return disks.indices.map { disk in
            guard let paths = snapshot(disk)?.paths, paths.contains(where: { $0.standing == .active }) else {
                return 0
            }
            return paths.count { living.contains($0.standing) }
        }.min() ?? 0
    }

    /// Paths that carry the first disk.
    public var pathsCarrying: Int { snapshot()?.paths.count { $0.standing == .active } ?? 0 }

    /// Nothing is under way any more: the medium is held against the oracle, and the lane's tables are
    /// counted.
    public func checkAtRest(within limit: UInt64 = 60_000_000_000) {
        // A path that has just come up may ask its LUNs a dozen questions each, of a target that answers some
        // of them after seconds.
        run(limit: limit) { hasNoLeak }
        guard failure == nil else { return }
        for disk in disks {
            for lba in disk.oracle.touched { disk.oracle.check(lba, disk.unit.blocks[lba], "the medium") }
        }
        if !hasNoLeak {
            let open = openStreams
            chronicle.fail("the lane is idle with \(open) streams open, and its tables hold \(lane.usage)")
        }
    }

    private var hasNoLeak: Bool { lane.usage.isEmpty && lane.usage.streams == openStreams }

    /// The next command that changes blocks takes so much longer.
    /// - Parameter bytes: the first one of just that length.
    public func holdFirstWrite(for nanoseconds: UInt64, bytes: Int? = nil) {
        var isHeld = false
        target.delay = { task in
            guard !isHeld, task.isWrite, bytes ?? task.expectedLength == task.expectedLength else { return 0 }
            isHeld = true
            return nanoseconds
        }
    }

    /// No command is inside the target.
    public var isQuiet: Bool { target.isIdle }
}
