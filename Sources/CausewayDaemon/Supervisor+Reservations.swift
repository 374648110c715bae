import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import Synchronization

/// Persistent reservations: what an administrator asks for, and what is put on record of it.
extension Supervisor {
    /// The lane gives a command up sooner.
    private static let reserveMilliseconds = 120_000

    func reserve(_ request: ReserveRequest) throws(ControlError) -> ReservationStatus {
        let disk = try find(request.name)
        guard disk.shards.count == 1 else {
            throw .invalidArgument(
                "\(request.name) has \(disk.shards.count) queues, and persistent reservations are for disks "
                    + "of one",
                remedy: "detach the disk and attach it with one queue")
        }
        let promise = Promise<Result<ReservationReport, ReservationError>>()
        guard let record = diskRecords.read(disk.name) else {
            throw .busy("\(request.name) is not attached yet")
        }
        let command = try Self.command(request, known: record.registration)
        let (id, ticket) = try disk.state.withLock { state throws(ControlError) -> (DiskID, UInt64) in
            guard let id = disk.shards[0].id, !state.isDetaching else {
                throw .busy("\(request.name) is not attached yet, or is being detached")
            }
            guard state.reservation == nil else {
                throw .busy("another command of reservations is under way for \(request.name)")
            }
            state.reservationTickets += 1
            state.reservation = (state.reservationTickets, promise)
            return (id, state.reservationTickets)
        }
        defer { disk.state.withLock { $0.reservation = nil } }
        disk.shards[0].lane.perform { $0.lane.reserve(id, command, ticket: ticket, now: $0.time) }
        var waited = 0
        while waited < Self.reserveMilliseconds, !disk.isDetaching {
            guard let result = promise.wait(milliseconds: 500) else {
                waited += 500
                continue
            }
            switch result {
            case .success(let report): return Self.status(request.name, report)
            case .failure(let error): throw Self.error(error, request)
            }
        }
        throw .busy("\(request.name): the LUN has not answered")
    }

    /// A successor registers the paths of its own sessions with the same key, or leaves them out where
    /// another host has taken it away.
    func registrationChanged(_ disk: AttachedDisk, _ registration: DiskRegistration?) {
        do throws(ControlError) {
            try changeRecord(disk.name) { $0.registration = registration.map(DiskRecord.Registration.init) }
        } catch {
            logger.error("\(disk.name): its reservation key cannot be put on record: \(error.message)")
        }
    }

    private static func command(
        _ request: ReserveRequest, known: DiskRecord.Registration?
    ) throws(ControlError) -> ReservationCommand {
        let type = try request.type.map { text throws(ControlError) in try self.type(text) }
        let victim = try request.victim.map { text throws(ControlError) in try key(text) }
        switch request.action {
        case .register:
            let text = request.key ?? known?.key ?? "\(ReservationKey(rawValue: .random(in: 1 ... .max)))"
            let key = try self.key(text)
            return .register(key, persists: request.aptpl || known?.aptpl == true)
        case .unregister: return .unregister
        case .reserve: return .reserve(type ?? .writeExclusiveRegistrantsOnly)
        case .release: return .release
        case .clear: return .clear
        case .preempt, .preemptAbort:
            guard let victim else { throw .invalidArgument("no victim", remedy: "give its key") }
            return .preempt(victim: victim, type, aborts: request.action == .preemptAbort)
        default: return .status
        }
    }

    private static func key(_ text: String) throws(ControlError) -> ReservationKey {
        guard let key = ReservationKey(parsing: text) else {
            throw .invalidArgument(
                "\"\(text)\" is no reservation key", remedy: "use 1 to 16 hexadecimal digits, not all zero")
        }
        return key
    }

    private static func type(_ text: String) throws(ControlError) -> PersistentReservationType {
        guard let type = PersistentReservationType(named: text) else {
            let names = PersistentReservationType.named.map { $0.name }.joined(separator: ", ")
            throw .invalidArgument("there is no reservation type \"\(text)\"", remedy: "use one of \(names)")
        }
        return type
    }

    private static func status(_ name: DiskName, _ report: ReservationReport) -> ReservationStatus {
        var status = ReservationStatus(
            name: name, generation: report.generation, keys: report.keys.map { "\($0)" },
            paths: report.registeredPaths)
        status.key = report.registration.map { "\($0.key)" }
        status.state = report.registration?.state.rawValue
        status.pinnedPath = report.registration?.pinnedPath
        status.type = report.holder.map { "\($0.type)" }
        status.holder = report.holder.flatMap { $0.key == .none ? nil : "\($0.key)" }
        status.problems = report.problems
        return status
    }

    private static func error(_ error: ReservationError, _ request: ReserveRequest) -> ControlError {
        let name = request.name
        return switch error {
        case .busy: .busy("another command of reservations is under way for \(name)")
        case .noPath: .busy("no path of \(name) shows its LUN now")
        case .notRegistered:
            .invalidArgument(
                "\(name) is not registered at its LUN", remedy: "first: causeway reserve \(name) register")
        case .severalPaths(let type):
            .invalidArgument(
                "\(type) has one holder nexus, and \(name) has several paths",
                remedy: "use a type with -registrants-only or -all-registrants, or leave the disk one path")
        case .ownKey:
            .invalidArgument(
                "that is the key of this host, whose own registrations would end",
                remedy: "to give it up: causeway reserve \(name) unregister")
        case .conflict(let text): .reservationConflict(name, text)
        case .failed(let text):
            .invalidArgument(
                "the LUN of \(name) did not \(request.action.rawValue): \(text)",
                remedy: "its target may not support it")
        case .unknown:
            .busy(
                "the LUN did not answer, or the path to it was lost, and nobody knows whether it was done; "
                    + "see causeway reserve \(name) status")
        }
    }
}
