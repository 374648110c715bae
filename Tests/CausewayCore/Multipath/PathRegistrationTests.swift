import Testing

@testable import CausewayCore

@Suite("A path's registration, step by step")
struct PathRegistrationTests {
    private static let key = ReservationKey(rawValue: 0xabc)
    private static let other = ReservationKey(rawValue: 0xdef)

    /// Data of READ KEYS; `length` where the list is longer than what is sent of it.
    static func keys(_ keys: [ReservationKey], length: Int? = nil) -> ReservationAnswer {
        var bytes = [UInt8](repeating: 0, count: 8)
        let count = length ?? 8 * keys.count
        bytes[6] = UInt8(count >> 8)
        bytes[7] = UInt8(count & 0xff)
        for key in keys {
            withUnsafeBytes(of: key.rawValue.bigEndian) { unsafe bytes.append(contentsOf: $0) }
        }
        return .good(bytes)
    }

    /// Data of READ RESERVATION.
    static func reservation(_ key: ReservationKey?, _ type: PersistentReservationType = .writeExclusive)
        -> ReservationAnswer
    {
        var bytes = [UInt8](repeating: 0, count: 8)
        guard let key else { return .good(bytes) }
        bytes[7] = 16
        withUnsafeBytes(of: key.rawValue.bigEndian) { unsafe bytes.append(contentsOf: $0) }
        bytes += [0, 0, 0, 0, 0, type.rawValue, 0, 0]
        return .good(bytes)
    }

    private func machine(_ state: DiskRegistration.State = .standing) -> PathRegistration {
        PathRegistration(DiskRegistration(key: Self.key, state: state))
    }

    private func register(_ old: ReservationKey, _ new: ReservationKey) -> ReservationStep {
        .order(PersistentReserveOrder(.register, key: old, actionKey: new))
    }

    @Test("a nexus that is registered still is confirmed without ever being registered anew")
    func confirmed() {
        var machine = machine()
        #expect(machine.step == .read(.readKeys))
        machine.answered(Self.keys([Self.other, Self.key]))
        #expect(machine.step == register(Self.key, Self.key))
        machine.answered(.good([]))
        #expect(machine.step == .read(.readReservation))
        machine.answered(Self.reservation(nil))
        #expect(machine.verdict == .registered)
        #expect(machine.step == nil)
    }

    @Test("a new nexus is registered while the key of another stands, and looks again")
    func registered() {
        var machine = machine()
        machine.answered(Self.keys([Self.key]))
        machine.answered(.conflict)
        #expect(machine.step == register(.none, Self.key))
        machine.answered(.good([]))
        #expect(machine.step == .read(.readKeys))
        machine.answered(Self.keys([Self.key, Self.key]))
        machine.answered(Self.reservation(Self.other))
        #expect(machine.verdict == .registered)
    }

    @Test("a key that is missing registers nothing")
    func missing() {
        var machine = machine()
        machine.answered(Self.keys([Self.other]))
        guard case .evicted = machine.verdict else { return #expect(Bool(false), "\(machine)") }
        #expect(machine.step == nil)
    }

    @Test("a pre-emption between the look and the registration is found, and the registration undone")
    func preemptedMeanwhile() {
        var machine = machine()
        machine.answered(Self.keys([Self.key]))
        machine.answered(.conflict)
        machine.answered(.good([]))
        machine.answered(Self.keys([Self.other, Self.key]))
        #expect(machine.step == register(Self.key, .none))
        machine.answered(.good([]))
        guard case .evicted = machine.verdict else { return #expect(Bool(false), "\(machine)") }
    }

    @Test(
        "the undoing may fail, and the host is evicted all the same",
        arguments: [
            ReservationAnswer.conflict, .lost, .failed("busy"),
        ])
    func undoingFails(_ answer: ReservationAnswer) {
        var machine = machine()
        machine.answered(Self.keys([Self.key]))
        machine.answered(.conflict)
        machine.answered(.good([]))
        machine.answered(Self.keys([Self.key]))
        machine.answered(answer)
        guard case .evicted = machine.verdict else { return #expect(Bool(false), "\(machine)") }
    }

    @Test("a list that is cut off before the key proves nothing")
    func truncated() {
        var machine = machine()
        machine.answered(Self.keys([Self.other], length: 32))
        guard case .failed = machine.verdict else { return #expect(Bool(false), "\(machine)") }
    }

    @Test("a nexus that is registered with an earlier key gets the new one, and looks again")
    func anotherKey() {
        var machine = machine()
        machine.answered(Self.keys([Self.key, Self.other]))
        machine.answered(.conflict)
        machine.answered(.conflict)
        #expect(
            machine.step
                == .order(
                    PersistentReserveOrder(.registerAndIgnoreExistingKey, key: .none, actionKey: Self.key)))
        machine.answered(.good([]))
        #expect(machine.step == .read(.readKeys))
        machine.answered(Self.keys([Self.key]))
        #expect(machine.step == register(Self.key, .none))
    }

    @Test("a registration that nobody saw to stand beside another is taken back before anything else")
    func unproved() {
        var machine = machine()
        machine.answered(Self.keys([Self.key]))
        #expect(!machine.isUnproved)
        machine.answered(.conflict)
        #expect(machine.isUnproved)
        machine.answered(.good([]))
        machine.answered(.lost)
        guard case .failed = machine.verdict else { return #expect(Bool(false), "\(machine)") }
        #expect(machine.isUnproved)

        // Its own stray is all that is left of the key.
        var again = PathRegistration(DiskRegistration(key: Self.key, state: .standing), isUnproved: true)
        #expect(again.step == register(Self.key, .none))
        again.answered(.good([]))
        #expect(!again.isUnproved)
        again.answered(Self.keys([Self.other]))
        guard case .evicted = again.verdict else { return #expect(Bool(false), "\(again)") }
    }

    @Test("a host that was evicted takes a stray back, and registers nothing")
    func strayOfAnEvicted() {
        var machine = PathRegistration(DiskRegistration(key: Self.key, state: .evicted), isUnproved: true)
        #expect(machine.step == register(Self.key, .none))
        machine.answered(.conflict)
        guard case .evicted = machine.verdict else { return #expect(Bool(false), "\(machine)") }
        #expect(!machine.isUnproved)
    }

    @Test("what an administrator has asked for is done whatever there is")
    func wanted() {
        var machine = machine(.wanted)
        #expect(
            machine.step
                == .order(
                    PersistentReserveOrder(.registerAndIgnoreExistingKey, key: .none, actionKey: Self.key)))
        machine.answered(.good([]))
        machine.answered(Self.reservation(Self.key))
        #expect(machine.verdict == .registered)
    }

    @Test("a path that may not write under this host's own reservation is of no use while that stands")
    func shutOut() {
        for holder in [Self.key, Self.other] {
            var machine = PathRegistration(
                DiskRegistration(key: Self.key, state: .standing), isShutOut: true)
            machine.answered(Self.keys([Self.key]))
            machine.answered(.good([]))
            machine.answered(Self.reservation(holder))
            #expect(
                machine.verdict
                    == (holder == Self.key ? .failed(DiskRegistration.onlyHolderWrites) : .registered))
        }
    }

    @Test(
        "data that is no list of keys is a failure",
        arguments: [
            [], [0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5],
        ] as [[UInt8]])
    func nonsense(_ data: [UInt8]) {
        var machine = machine()
        machine.answered(.good(data))
        guard case .failed = machine.verdict else { return #expect(Bool(false), "\(machine)") }
    }

    @Test("keys are read as people write them")
    func keysAsText() {
        #expect(ReservationKey(parsing: "0xABC") == Self.key)
        #expect(ReservationKey(parsing: "abc") == Self.key)
        #expect(ReservationKey(parsing: "ffffffffffffffff")?.rawValue == .max)
        for text in ["", "0x", "0", "0x0", "+1", "-1", "12345678901234567", "xyz", "1 "] {
            #expect(ReservationKey(parsing: text) == nil, "\(text)")
        }
        #expect("\(Self.key)" == "0xabc")
    }
}
