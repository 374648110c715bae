import CausewayCore
import Simulation
import Testing

@Suite("Persistent reservations")
struct LaneReservationTests {
    private static let key: UInt64 = 0xabc
    private static let otherKey: UInt64 = 0xdef
    private static let registrantsOnly = PersistentReservationType.writeExclusiveRegistrantsOnly

    private func registered(paths: Int = 2) -> World {
        var options = WorldOptions()
        options.paths = Array(options.paths.prefix(paths))
        let world = ready(options)
        let report = try? world.reserve(.register(ReservationKey(rawValue: Self.key), persists: false))?.get()
        #expect(report?.registration?.state == .standing)
        #expect(report?.registeredPaths.count == paths)
        #expect(report?.keys.count == paths)
        #expect(world.registrations(of: Self.key) == paths)
        return world
    }

    private func work(_ world: World, _ count: Int = 200) {
        world.client.load(count: count)
        world.run(limit: 20 * .second) { world.client.isIdle }
        #expect(world.client.isIdle)
    }

    private func carriesIO(_ world: World) -> [Bool] {
        let before = world.snapshot()?.paths.map(\.counters.commands) ?? []
        work(world)
        let after = world.snapshot()?.paths.map(\.counters.commands) ?? []
        return zip(before, after).map { $1 - $0 > 20 }
    }

    private func active(_ world: World) -> Int {
        world.snapshot()?.paths.count { $0.standing == .active } ?? 0
    }

    private func error(
        _ result: Result<ReservationReport, ReservationError>?
    ) -> ReservationError? {
        if case .failure(let error) = result { error } else { nil }
    }

    @Test("one command registers every path, and a reservation for registrants lets all of them write")
    func register() throws {
        let world = registered()
        let report = try #require(try world.reserve(.reserve(Self.registrantsOnly))?.get())
        #expect(report.holder?.key.rawValue == Self.key)
        #expect(report.holder?.type == Self.registrantsOnly)
        #expect(carriesIO(world) == [true, true])
        #expect(world.client.errors == 0)
        let released = try #require(try world.reserve(.release)?.get())
        #expect(released.holder == nil)
        let unregistered = try #require(try world.reserve(.unregister)?.get())
        #expect(unregistered.keys.isEmpty)
        #expect(world.registration == nil)
        settle(world)
    }

    @Test("a path that comes back is registered before its first I/O")
    func comesBack() {
        let world = registered()
        _ = world.reserve(.reserve(Self.registrantsOnly))
        world.loseCarrier(interface: 0)
        work(world)
        world.findCarrier(interface: 0)
        world.run(limit: 20 * .second) { world.pathsUp == 2 }
        #expect(carriesIO(world) == [true, true])
        #expect(world.client.errors == 0)
        #expect(world.registrations(of: Self.key) == 2)
        settle(world)
    }

    @Test("a path that was added is registered too")
    func added() {
        let world = registered(paths: 1)
        world.addPath(interface: 1, portal: 1)
        world.run(limit: 20 * .second) { world.pathsUp == 2 }
        #expect(world.registrations(of: Self.key) == 2)
        #expect(world.client.errors == 0)
        settle(world)
    }

    @Test("a host that was pre-empted while a path was down does not register again, and writes nothing")
    func preempted() {
        let world = registered()
        world.loseCarrier(interface: 0)
        world.run(limit: 2 * .second)
        world.preempt(Self.key, by: Self.otherKey)
        world.findCarrier(interface: 0)
        world.run(limit: 30 * .second) { world.registration?.state == .evicted && world.pathsUp == 2 }
        #expect(world.registration?.state == .evicted)
        #expect(world.registrations(of: Self.key) == 0)
        world.client.mayFail = true
        let sent = world.snapshot()?.paths.map(\.counters.commands)
        var error: UInt32 = 0
        world.client.submit(.write, lba: 0, blocks: 1) { error = $0 }
        world.run(limit: 5 * .second) { world.client.isIdle }
        #expect(error == NBDError.inputOutput.rawValue)
        #expect(world.snapshot()?.paths.map(\.counters.commands) == sent, "the write went out")
        #expect(world.snapshot()?.notes.contains { $0.contains("reserve") } == true)
    }

    @Test("the unit attention of a pre-emption is enough")
    func attention() {
        let world = registered()
        world.preempt(Self.key, by: Self.otherKey)
        world.client.mayFail = true
        world.client.load(count: 50)
        world.run(limit: 10 * .second) { world.client.isIdle }
        #expect(world.registration?.state == .evicted)
        #expect(world.client.errors > 0)
        #expect(world.registrations(of: Self.key) == 0)
        // Until an administrator says so.
        let report = try? world.reserve(.register(ReservationKey(rawValue: Self.key), persists: false))?.get()
        #expect(report?.registration?.state == .standing)
        let errors = world.client.errors
        #expect(carriesIO(world) == [true, true])
        #expect(world.client.errors == errors)
    }

    @Test("a host that was never registered meets a conflict as what it is")
    func conflict() {
        let world = ready(WorldOptions())
        world.keepsLog = true
        world.reserveElsewhere(Self.otherKey)
        world.client.mayFail = true
        world.client.load(count: 50)
        world.run(limit: 10 * .second) { world.client.isIdle }
        #expect(world.client.errors > 0)
        #expect(world.log.count { $0.text.contains("RESERVATION CONFLICT") } == 1)
        #expect(world.pathsUp == 2)
    }

    @Test(
        "a successor registers with what is on record, and finds out that it was pre-empted",
        arguments: [
            false, true,
        ])
    func successor(_ isPreempted: Bool) {
        let world = registered()
        world.crash(paths: [0, 1], successorAfter: 1 * .second)
        if isPreempted { world.preempt(Self.key, by: Self.otherKey) }
        world.run(limit: 30 * .second) { world.pathsUp == 2 }
        #expect(world.registration?.state == (isPreempted ? .evicted : .standing))
        #expect(world.registrations(of: Self.key) == (isPreempted ? 0 : 2))
    }

    @Test("a key that changes while a path is down reaches it when it is back")
    func changedKey() throws {
        let world = registered()
        world.loseCarrier(interface: 1)
        world.run(limit: 2 * .second)
        let key = ReservationKey(rawValue: 0x123)
        _ = try #require(try world.reserve(.register(key, persists: false))?.get())
        world.findCarrier(interface: 1)
        world.run(limit: 20 * .second) { world.registrations(of: 0x123) == 2 && active(world) == 2 }
        #expect(world.registrations(of: 0x123) == 2)
        #expect(active(world) == 2)
        #expect(carriesIO(world) == [true, true])
        settle(world)
    }

    @Test("a target that has lost its registrations with its power takes the LUN away")
    func restarted() {
        let world = registered()
        world.forgetReservations()
        world.restartTarget(downFor: 1 * .second, losesCache: false)
        world.run(limit: 30 * .second) { world.registration?.state == .evicted && world.pathsUp == 2 }
        #expect(world.registration?.state == .evicted)
        #expect(world.registrations(of: Self.key) == 0)
    }

    @Test("a LUN that does not answer keeps no command for later")
    func silent() throws {
        let world = ready(WorldOptions())
        world.setBusy(true)
        let result = world.reserve(.register(ReservationKey(rawValue: Self.key), persists: false))
        world.setBusy(false)
        #expect(result != nil, "no answer")
        world.run(limit: 10 * .second)
        #expect(world.registrations(of: Self.key) == 0)
        let again = world.reserve(.register(ReservationKey(rawValue: Self.key), persists: false))
        #expect((try? again?.get())?.keys.count == 2)
        settle(world)
    }

    @Test("the detach of a disk that another host has taken waits for no flush")
    func detach() {
        let world = registered()
        work(world)
        world.preempt(Self.key, by: Self.otherKey)
        world.client.mayFail = true
        work(world)
        #expect(world.registration?.state == .evicted)
        world.client.disconnect()
        world.detach(force: false)
        world.run(limit: 20 * .second) { world.isDetached }
        #expect(world.isDetached)
    }

    @Test("types with one holder are refused with two paths, and pin the disk to one")
    func oneHolder() throws {
        let two = registered()
        #expect(error(two.reserve(.reserve(.writeExclusive))) == .severalPaths(.writeExclusive))
        let one = registered(paths: 1)
        _ = try #require(try one.reserve(.reserve(.writeExclusive))?.get())
        #expect(one.registration?.pinnedPath != nil)
        one.addPath(interface: 1, portal: 1)
        one.run(limit: 5 * .second)
        #expect(active(one) == 1)
        work(one)
        #expect(one.client.errors == 0)
        _ = try #require(try one.reserve(.release)?.get())
        one.run(limit: 5 * .second) { active(one) == 2 }
        #expect(active(one) == 2)
        settle(one)
    }

    @Test("where only the holder's path may write, the others stand by while the LUN is reserved")
    func onlyHolder() throws {
        let world = registered()
        world.letOnlyHolderWrite()
        let report = try #require(try world.reserve(.reserve(Self.registrantsOnly))?.get())
        #expect(report.problems.isEmpty)
        // What is refused on the other path goes to the holder's.
        work(world)
        #expect(carriesIO(world) == [true, false])
        world.loseCarrier(interface: 1)
        world.run(limit: 2 * .second)
        world.findCarrier(interface: 1)
        world.run(limit: 5 * .second)
        #expect(carriesIO(world) == [true, false])
        _ = try #require(try world.reserve(.release)?.get())
        world.run(limit: 10 * .second) { active(world) == 2 }
        #expect(carriesIO(world) == [true, true])
        #expect(world.client.errors == 0)
        settle(world)
    }

    @Test("pre-empting takes another host's reservation")
    func preempts() throws {
        let world = ready(WorldOptions())
        world.reserveElsewhere(Self.otherKey)
        let victim = ReservationKey(rawValue: Self.otherKey)
        #expect(error(world.reserve(.preempt(victim: victim, nil, aborts: false))) == .notRegistered)
        _ = world.reserve(.register(ReservationKey(rawValue: Self.key), persists: false))
        #expect(
            error(world.reserve(.preempt(victim: ReservationKey(rawValue: Self.key), nil, aborts: false)))
                == .ownKey)
        let report = try #require(
            try world.reserve(.preempt(victim: victim, nil, aborts: true))?.get())
        #expect(report.holder?.key.rawValue == Self.key)
        #expect(report.keys.map(\.rawValue) == [Self.key, Self.key])
        #expect(carriesIO(world) == [true, true])
        #expect(world.client.errors == 0)
        settle(world)
    }

    @Test("clear takes everybody's keys away and is no pre-emption for the one who asked")
    func clear() throws {
        let world = registered()
        _ = world.reserve(.reserve(Self.registrantsOnly))
        let report = try #require(try world.reserve(.clear)?.get())
        #expect(report.keys.isEmpty)
        #expect(report.holder == nil)
        #expect(world.registration == nil)
        #expect(carriesIO(world) == [true, true])
        #expect(world.client.errors == 0)
        settle(world)
    }

    @Test("a reservation of another host is a clear answer")
    func heldElsewhere() {
        let world = registered()
        world.reserveElsewhere(Self.otherKey)
        let refused = error(world.reserve(.reserve(Self.registrantsOnly)))
        guard case .conflict(let text) = refused else { return #expect(Bool(false), "\(refused as Any)") }
        #expect(text.contains("0xdef"))
        let release = error(world.reserve(.release))
        guard case .conflict = release else { return #expect(Bool(false), "\(release as Any)") }
    }
}
