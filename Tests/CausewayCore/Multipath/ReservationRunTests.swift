import Testing

@testable import CausewayCore

@Suite("Commands of reservations, step by step")
struct ReservationRunTests {
    private static let key = ReservationKey(rawValue: 0xabc)
    private static let other = ReservationKey(rawValue: 0xdef)
    private typealias Data = PathRegistrationTests

    private func run(_ command: ReservationCommand, paths: [Int32] = [4, 7]) -> ReservationRun {
        ReservationRun(
            command, key: Self.key, persists: false, hasSeveralNexuses: true,
            paths: paths.map { ($0, InitiatorSessionID(value: UInt64($0))) })
    }

    /// Answers the next command, which has to be this one.
    private func answer(
        _ run: inout ReservationRun, _ step: ReservationStep, on path: Int32, _ answer: ReservationAnswer,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(run.next?.step == step, sourceLocation: sourceLocation)
        #expect(run.next?.path == path, sourceLocation: sourceLocation)
        run.answered(answer)
    }

    /// The look that ends every run.
    private func finish(_ run: inout ReservationRun, on path: Int32) {
        answer(&run, .read(.readKeys), on: path, Data.keys([Self.key]))
        answer(&run, .read(.readReservation), on: path, Data.reservation(nil))
        #expect(run.isEnded)
        #expect(run.outcome == .done)
    }

    @Test("RELEASE goes over one path after the other until the reservation is gone")
    func release() {
        var run = run(.release)
        let order = ReservationStep.order(
            PersistentReserveOrder(.release, type: .writeExclusiveRegistrantsOnly, key: Self.key))
        let held = Data.reservation(Self.key, .writeExclusiveRegistrantsOnly)
        answer(&run, .read(.readReservation), on: 4, held)
        answer(&run, order, on: 4, .good([]))
        answer(&run, .read(.readReservation), on: 4, held)
        answer(&run, order, on: 7, .good([]))
        answer(&run, .read(.readReservation), on: 7, Data.reservation(nil))
        finish(&run, on: 7)
    }

    @Test("a reservation of a nexus that is not up is not said to be released")
    func heldByALostPath() {
        var run = run(.release, paths: [4])
        let held = Data.reservation(Self.key, .writeExclusiveRegistrantsOnly)
        run.answered(held)
        run.answered(.good([]))
        run.answered(held)
        guard case .failed(.failed(let text)) = run.outcome else { return #expect(Bool(false), "\(run)") }
        #expect(text.contains("not up"))
    }

    @Test("another host's reservation is not released")
    func releaseOfAnother() {
        var run = run(.release)
        run.answered(Data.reservation(Self.other, .writeExclusiveRegistrantsOnly))
        guard case .failed(.conflict) = run.outcome else { return #expect(Bool(false), "\(run)") }
    }

    @Test("one path that cannot be registered does not keep the others from it")
    func registerStumbles() {
        var run = run(.register(Self.other, persists: true))
        let order = ReservationStep.order(
            PersistentReserveOrder(
                .registerAndIgnoreExistingKey, key: .none, actionKey: Self.other, persists: true))
        answer(&run, order, on: 4, .lost)
        answer(&run, order, on: 7, .good([]))
        answer(&run, .read(.readKeys), on: 7, Data.keys([Self.other]))
        answer(&run, .read(.readReservation), on: 7, Data.reservation(nil))
        #expect(run.outcome == .done)
        #expect(run.done == [7])
        #expect(run.problems.map(\.path) == [4])
    }

    @Test("where no path can be registered, that is the answer")
    func registerFails() {
        var run = run(.register(Self.other, persists: false))
        run.answered(.failed("no"))
        run.answered(.failed("no"))
        #expect(run.outcome == .failed(.failed("no")))
    }

    @Test("PREEMPT keeps the type of the present reservation")
    func preempt() {
        var run = run(.preempt(victim: Self.other, nil, aborts: true))
        answer(
            &run, .read(.readReservation), on: 4,
            Data.reservation(Self.other, .exclusiveAccessRegistrantsOnly))
        answer(
            &run,
            .order(
                PersistentReserveOrder(
                    .preemptAndAbort, type: .exclusiveAccessRegistrantsOnly, key: Self.key,
                    actionKey: Self.other)), on: 4, .good([]))
        finish(&run, on: 4)
    }

    @Test("PREEMPT does not inherit a type with one holder on a disk of several paths")
    func preemptOfOneHolder() {
        var run = run(.preempt(victim: Self.other, nil, aborts: false))
        run.answered(Data.reservation(Self.other, .writeExclusive))
        #expect(run.outcome == .failed(.severalPaths(.writeExclusive)))
    }

    @Test("a registration that is pre-empted while it is made is undone")
    func preemptedMeanwhile() {
        var run = run(.register(Self.key, persists: false))
        run.answered(.good([]))
        run.answered(.good([]))
        // The first of the two is gone.
        answer(&run, .read(.readKeys), on: 7, Data.keys([Self.other, Self.key]))
        let withdrawal = ReservationStep.order(
            PersistentReserveOrder(.registerAndIgnoreExistingKey, key: .none))
        answer(&run, withdrawal, on: 4, .good([]))
        answer(&run, withdrawal, on: 7, .good([]))
        #expect(run.isPreempted)
        guard case .failed(.conflict) = run.outcome else { return #expect(Bool(false), "\(run)") }
    }

    @Test("nobody knows what became of an order whose path was lost")
    func lost() {
        var run = run(.clear)
        run.answered(.lost)
        #expect(run.outcome == .failed(.unknown))
    }

    @Test("RESERVE of what this host holds already is no error")
    func reservedAlready() {
        var run = run(.reserve(.writeExclusiveRegistrantsOnly))
        run.answered(.conflict)
        answer(
            &run, .read(.readReservation), on: 4, Data.reservation(Self.key, .writeExclusiveRegistrantsOnly))
        finish(&run, on: 4)
    }
}
