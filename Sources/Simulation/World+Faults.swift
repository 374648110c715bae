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

    public func pauseTarget(_ nanoseconds: UInt64) { target.pause(nanoseconds) }

    /// Ends a pause of the target, and lets connections live that were to be cut.
    public func endFaults() {
        target.endPause()
        for connection in network.living {
            connection.toTarget.cutAfter = nil
            connection.toInitiator.cutAfter = nil
        }
    }

    public func restartTarget(downFor nanoseconds: UInt64, losesCache: Bool) {
        target.restart(downFor: nanoseconds, losesCache: losesCache)
    }

    public func shutWindow(_ nanoseconds: UInt64) { target.shutWindow(nanoseconds) }

    /// Every session is told something that asks for no more than a second attempt.
    public func raiseAttention() { target.raise(.modeParametersChanged, lun: Self.lun.rawValue) }

    public func halfClose(path index: Int) {
        for connection in connections(ofPath: index) { target.halfClose(connection.number) }
    }

    /// Attempts to connect so far.
    public var connectCount: Int { network.connectCount }

    // MARK: Verdicts

    public func snapshot() -> DiskSnapshot? { lane.snapshot(disk) }

    public var pathsUp: Int { snapshot()?.paths.count { $0.standing == .active } ?? 0 }

    /// Nothing is under way any more: the medium is held against the oracle, and the lane's tables are
    /// counted.
    public func checkAtRest() {
        // A probe may be under way, or an answer still on its way to the client.
        run(limit: 10_000_000_000) { hasNoLeak }
        guard failure == nil else { return }
        for lba in client.oracle.touched { client.oracle.check(lba, unit.blocks[lba], "the medium") }
        if !hasNoLeak {
            let open = openStreams
            chronicle.fail("the lane is idle with \(open) streams open, and its tables hold \(lane.usage)")
        }
    }

    private var hasNoLeak: Bool { lane.usage.isEmpty && lane.usage.streams == openStreams }

    /// The next command that changes blocks takes so much longer.
    public func holdFirstWrite(for nanoseconds: UInt64) {
        var isHeld = false
        target.delay = { task in
            guard !isHeld, task.isWrite else { return 0 }
            isHeld = true
            return nanoseconds
        }
    }

    /// No command is inside the target.
    public var isQuiet: Bool { target.isIdle }
}
