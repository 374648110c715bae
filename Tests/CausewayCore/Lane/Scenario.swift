import CausewayCore
import Simulation
import Testing

extension UInt64 {
    static let millisecond: UInt64 = 1_000_000
    static let second: UInt64 = 1_000_000_000
}

/// A world that has come up, for tests to play with.
func ready(
    _ options: WorldOptions, pathsUp: Int? = nil, sourceLocation: SourceLocation = #_sourceLocation
) -> World {
    let world = World(options)
    world.attach()
    let wanted = pathsUp ?? options.paths.count
    let isUp = world.run(limit: 10 * .second) { world.isReady && world.pathsUp == wanted }
    #expect(
        isUp, "the paths did not come up: \(world.failure ?? "no violation")", sourceLocation: sourceLocation)
    return world
}

/// Waits until every request is answered, and for what targets do late, then holds the medium against the
/// oracle.
func settle(
    _ world: World, within limit: UInt64 = 60 * .second, sourceLocation: SourceLocation = #_sourceLocation
) {
    let isIdle = world.run(limit: limit) { world.client.isIdle }
    world.run(limit: 5 * .second)
    world.run(limit: limit) { world.isQuiet }
    world.checkAtRest()
    let complaint = world.failure
    #expect(complaint == nil, sourceLocation: sourceLocation)
    #expect(isIdle, "\(world.client.inFlight) requests have no answer", sourceLocation: sourceLocation)
}

/// Up to three paths over interfaces of their own that are connections of one session.
func connectionOptions(_ loss: TargetOptions.ConnectionLoss, paths: Int) -> WorldOptions {
    var options = WorldOptions()
    options.settings.multipathing = .connections
    options.settings.policy = .roundRobin(.init(commands: 1))
    options.interfaceCount = 3
    options.paths = Array([(0, 0), (1, 1), (2, 0)].prefix(paths))
    options.target.maxConnections = 8
    options.target.connectionLoss = loss
    options.target.isLIO = loss == .sessionEnds
    options.target.reinstatement = loss == .sessionEnds ? .drains : .returnsAtOnce
    return options
}
