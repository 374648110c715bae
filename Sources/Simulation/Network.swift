import CausewayCore

/// Interfaces, portals, and the TCP connections between them.
final class Network {
    /// One end of the wire, with a gate for each direction.
    final class Point {
        let toTarget = Gate()
        let toInitiator = Gate()
        var hasCarrier = true
    }

    let timeline: Timeline
    let random: RandomStream
    let chronicle: Chronicle
    let interfaces: [Point]
    let portals: [Point]
    let weather: Weather
    private(set) var connections: [Connection] = []
    private(set) var connectCount = 0
    /// The target's side: whether a portal listens, and what to do with a new connection.
    var isListening: (Int) -> Bool = { _ in true }
    var onAccept: (Connection) -> Void = { _ in }

    init(
        _ timeline: Timeline, _ random: RandomStream, _ chronicle: Chronicle, interfaceCount: Int,
        portalCount: Int,
        weather: Weather
    ) {
        self.timeline = timeline
        self.random = random
        self.chronicle = chronicle
        interfaces = (0..<interfaceCount).map { _ in Point() }
        portals = (0..<portalCount).map { _ in Point() }
        self.weather = weather
    }

    /// The world is no more: what waits at a gate, which it knows itself, goes.
    func forget() {
        for point in interfaces + portals {
            point.toTarget.forget()
            point.toInitiator.forget()
        }
    }

    var living: [Connection] { connections.filter { $0.isOpenAtInitiator && $0.isAccepted } }

    /// Begins a connection; `done` tells the initiator how it went, nil for well. A SYN that is lost is sent
    /// again after 1, 3 and 7 seconds.
    func connect(interface: Int, portal: Int, _ done: @escaping (Connection, String?) -> Void) -> Connection {
        connectCount += 1
        let way = interfaces[interface]
        let end = portals[portal]
        let connection = Connection(
            number: connectCount, interface: interface, portal: portal,
            toTarget: Pipe(timeline, random, gates: [way.toTarget, end.toTarget], weather: weather),
            toInitiator: Pipe(timeline, random, gates: [way.toInitiator, end.toInitiator], weather: weather))
        connections.removeAll { !$0.isOpenAtInitiator && !$0.isOpenAtTarget }
        connections.append(connection)
        guard way.hasCarrier else {
            timeline.after(1000) { done(connection, "no route to host") }
            return connection
        }
        synchronize(connection, way, end, attempt: 0, done)
        return connection
    }

    private func synchronize(
        _ connection: Connection, _ way: Point, _ end: Point, attempt: Int,
        _ done: @escaping (Connection, String?) -> Void
    ) {
        let roundTrip = random.nanoseconds(weather.latency) + random.nanoseconds(weather.latency)
        let isLost = [way.toTarget, way.toInitiator, end.toTarget, end.toInitiator].contains { $0.isShut }
        if isLost {
            guard attempt < 3, connection.isOpenAtInitiator else { return }
            timeline.after([1, 2, 4][attempt] * 1_000_000_000) { [unowned self] in
                synchronize(connection, way, end, attempt: attempt + 1, done)
            }
            return
        }
        timeline.after(roundTrip) { [unowned self] in
            guard connection.isOpenAtInitiator else { return }
            guard isListening(connection.portal) else { return done(connection, "connection refused") }
            connection.isAccepted = true
            connection.isOpenAtTarget = true
            connection.toTarget.onCut = { [unowned self, unowned connection] in cut(connection) }
            connection.toInitiator.onCut = { [unowned self, unowned connection] in cut(connection) }
            onAccept(connection)
            done(connection, nil)
        }
    }

    /// Both ends see a reset; what was under way is lost.
    func cut(_ connection: Connection) {
        chronicle.trace("net", "connection \(connection.number) is cut")
        connection.toTarget.breakOff()
        connection.toInitiator.breakOff()
        connection.onResetAtTarget()
        connection.onResetAtInitiator()
    }

    /// The initiator's end alone is reset: what it has sent goes on to the target.
    func resetInitiator(_ connection: Connection) {
        chronicle.trace("net", "connection \(connection.number) is reset at the initiator")
        connection.toInitiator.breakOff()
        connection.onResetAtInitiator()
    }
}

/// A TCP connection; its ends may see different things.
final class Connection {
    let number: Int
    let interface: Int
    let portal: Int
    let toTarget: Pipe
    let toInitiator: Pipe
    var isAccepted = false
    var isOpenAtInitiator = true
    var isOpenAtTarget = false
    var onResetAtInitiator: () -> Void = {}
    var onResetAtTarget: () -> Void = {}

    init(number: Int, interface: Int, portal: Int, toTarget: Pipe, toInitiator: Pipe) {
        self.number = number
        self.interface = interface
        self.portal = portal
        self.toTarget = toTarget
        self.toInitiator = toInitiator
    }

    /// What the initiator's TCP would say of it.
    func report(now: UInt64) -> TransportReport {
        var report = TransportReport()
        report.segmentBytes = toTarget.weather.segmentBytes
        report.roundTripMicroseconds = UInt32(clamping: toTarget.weather.latency.upperBound / 500)
        // Sent into a hole, or into a network that swallows the acknowledgements.
        let unheard = toInitiator.isShut ? toTarget.lastSent : nil
        if toTarget.isUnderWay || unheard != nil { report.unacknowledgedSegments = 1 }
        if let since = toTarget.stuckSince ?? unheard {
            var silence = now - min(since, now)
            while silence >= 200_000_000 {
                report.consecutiveTimeouts += 1
                silence /= 2
            }
        }
        return report
    }
}
