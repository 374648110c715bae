public import CausewayCore

/// The persistent reservations of a LUN (SPC-4 §5.9): who is registered, and who has reserved it.
final class SimulatedReservations {
    /// An I_T nexus: a session's name and its portal group, which is the target port. Group -1: another
    /// host's.
    struct Nexus: Hashable {
        var isid: UInt64
        var group: Int
    }

    private(set) var registrations: [Nexus: UInt64] = [:]
    private(set) var holder: (nexus: Nexus, type: UInt8)?
    private var generation: UInt32 = 0
    /// Says to a nexus that something was taken from it.
    var tell: (Nexus, Sense) -> Void = { _, _ in }

    /// As Linux's target does it: of an initiator's nexuses only the one that made the reservation writes.
    var letsOnlyHolderWrite = false

    private static let conflict = Outcome.status(0x18)

    /// What PERSISTENT RESERVE IN and OUT, and commands that meet a reservation, end with; nil for others.
    func outcome(_ cdb: [UInt8], _ data: [UInt8], _ nexus: Nexus) -> Outcome? {
        switch cdb[0] {
        case 0x5e: report(cdb)
        case 0x5f: order(cdb, data, nexus)
        default: isRefused(cdb, nexus) ? Self.conflict : nil
        }
    }

    func forget() {
        registrations = [:]
        holder = nil
    }

    /// Whether anybody holds the key.
    func has(_ key: UInt64) -> Bool { registrations.values.contains(key) }

    private func isRefused(_ cdb: [UInt8], _ nexus: Nexus) -> Bool {
        guard let holder else { return false }
        let isRead = cdb[0] == 0x88
        let isWrite = [0x42, 0x8a, 0x91, 0x93].contains(cdb[0])
        let isExclusive = [3, 6, 8].contains(holder.type)
        guard isWrite || isRead && isExclusive else { return false }
        if letsOnlyHolderWrite && holder.nexus.group >= 0 && nexus != holder.nexus { return true }
        return holder.type < 5 ? nexus != holder.nexus : registrations[nexus] == nil
    }

    private func report(_ cdb: [UInt8]) -> Outcome {
        var bytes: [UInt8] = []
        bytes.append(UInt64(generation), bytes: 4)
        if cdb[1] & 0x1f == 0 {
            let keys = registrations.values.sorted()
            bytes.append(UInt64(8 * keys.count), bytes: 4)
            for key in keys { bytes.append(key, bytes: 8) }
        } else if let holder {
            bytes.append(16, bytes: 4)
            bytes.append(holder.type >= 7 ? 0 : registrations[holder.nexus] ?? 0, bytes: 8)
            bytes += [0, 0, 0, 0, 0, holder.type, 0, 0]
        } else {
            bytes.append(0, bytes: 4)
        }
        return .good(bytes)
    }

    private func order(_ cdb: [UInt8], _ data: [UInt8], _ nexus: Nexus) -> Outcome {
        let key = data.field(0, bytes: 8)
        let other = data.field(8, bytes: 8)
        let action = cdb[1] & 0x1f
        let own = registrations[nexus]
        guard action == 6 || (own ?? 0) == key else { return Self.conflict }
        guard own != nil || action == 0 || action == 6 else { return Self.conflict }
        switch action {
        case 0, 6: register(nexus, other)
        case 1:
            let isSame = holder.map { $0.type == cdb[2] & 0xf && (nexus == $0.nexus || $0.type >= 7) }
            guard isSame ?? true else { return Self.conflict }
            holder = holder ?? (nexus, cdb[2] & 0xf)
        case 2:
            guard let held = holder, held.nexus == nexus || held.type >= 7 else { break }
            guard held.type == cdb[2] & 0xf else { return .check(.invalidField) }
            holder = nil
        case 3:
            for other in registrations.keys where other != nexus { tell(other, .reservationsPreempted) }
            registrations = [:]
            holder = nil
            generation += 1
        case 4, 5: return preempt(nexus, other, type: cdb[2] & 0xf)
        default: return .check(.invalidField)
        }
        return .good([])
    }

    private func register(_ nexus: Nexus, _ key: UInt64) {
        generation += 1
        registrations[nexus] = key == 0 ? nil : key
        if key == 0, let held = holder, held.nexus == nexus, held.type < 7 || registrations.isEmpty {
            holder = nil
        }
    }

    private func preempt(_ nexus: Nexus, _ victim: UInt64, type: UInt8) -> Outcome {
        guard has(victim) else { return Self.conflict }
        let wasHeld = holder.map { registrations[$0.nexus] == victim } ?? true
        for (other, key) in registrations where key == victim && other != nexus {
            registrations[other] = nil
            tell(other, .registrationsPreempted)
        }
        if wasHeld { holder = (nexus, type) }
        generation += 1
        return .good([])
    }
}

extension SimulatedTarget {
    /// A nexus has lost a registration or a reservation: its session's next command says so.
    func tell(_ nexus: SimulatedReservations.Nexus, _ sense: Sense, lun: UInt64) {
        for session in sessions
        where session.isid == nexus.isid && Int(session.portalGroup) == nexus.group {
            session.attentions[lun, default: []].append(sense)
        }
    }
}

extension World {
    private static var otherHost: SimulatedReservations.Nexus { .init(isid: 0, group: -1) }

    /// Another host registers with `key`, pre-empts `victim` and reserves the LUN for registrants.
    public func preempt(_ victim: UInt64, by key: UInt64) {
        chronicle.trace("other host", "pre-empts \(victim)")
        _ = unit.reservations.outcome(
            order(action: 6, type: 0).cdb, order(action: 6, key: 0, other: key).data, Self.otherHost)
        _ = unit.reservations.outcome(
            order(action: 4, type: 5).cdb, order(action: 4, key: key, other: victim).data, Self.otherHost)
    }

    /// Another host reserves the LUN for registrants only.
    public func reserveElsewhere(_ key: UInt64) {
        _ = unit.reservations.outcome(
            order(action: 6, type: 0).cdb, order(action: 6, key: 0, other: key).data, Self.otherHost)
        _ = unit.reservations.outcome(
            order(action: 1, type: 5).cdb, order(action: 1, key: key).data, Self.otherHost)
    }

    private func order(
        action: UInt8, type: UInt8 = 0, key: UInt64 = 0, other: UInt64 = 0
    ) -> (cdb: [UInt8], data: [UInt8]) {
        var data: [UInt8] = []
        data.append(key, bytes: 8)
        data.append(other, bytes: 8)
        return ([0x5f, action, type, 0, 0, 0, 0, 0, 24, 0], data + Array(repeating: 0, count: 8))
    }

    /// As a target without APTPL that loses its power.
    public func forgetReservations() { unit.reservations.forget() }

    /// As Linux's target does it: of an initiator's nexuses only the one that made the reservation writes.
    public func letOnlyHolderWrite() { unit.reservations.letsOnlyHolderWrite = true }

    /// How many nexuses are registered with `key`.
    public func registrations(of key: UInt64) -> Int {
        unit.reservations.registrations.values.count { $0 == key }
    }

    /// Does something about reservations, and waits for what comes of it.
    public func reserve(_ command: ReservationCommand) -> Result<ReservationReport, ReservationError>? {
        chronicle.trace("admin", "\(command)")
        reservation = nil
        lane.reserve(disk, command, ticket: 1, now: instant)
        work()
        run(limit: 30_000_000_000) { reservation != nil }
        return reservation
    }
}
