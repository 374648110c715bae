/// Carries out one command of an administrator: which commands of PERSISTENT RESERVE go out, one after the
/// other, and over which paths.
///
/// Every run ends with a look at what came of it.
struct ReservationRun {
    enum Outcome: Equatable {
        case done
        case failed(ReservationError)
    }

    private enum State: Equatable {
        /// The order itself, on the path of this place in `paths`.
        case ordering(Int)
        /// What the reservation is, before the order or after it was refused.
        case reading(Int, isAfter: Bool)
        case readingKeys
        /// Another host has pre-empted what was registered: the rest of it, by its place in `done`, goes.
        case withdrawing(Int)
        case readingReservation
        case ended
    }

    let command: ReservationCommand
    /// Under which key this host is registered; zero: not at all.
    let key: ReservationKey
    let persists: Bool
    /// The disk has more than one nexus, whether their paths are up or not.
    let hasSeveralNexuses: Bool
    /// The paths that may carry commands, best first; several of one nexus are connections of one session.
    let paths: [Int32]
    private let nexuses: [InitiatorSessionID]
    private var state: State
    private(set) var outcome = Outcome.done
    /// The paths on which the order was done, and what went wrong on others.
    private(set) var done: [Int32] = []
    private(set) var problems: [(path: Int32, text: String)] = []
    /// A registration was undone, for another host pre-empted it.
    private(set) var isPreempted = false
    private(set) var keys: RegisteredKeys?
    private(set) var reservation: PersistentReservation?

    /// - Parameter paths: at least one.
    init(
        _ command: ReservationCommand, key: ReservationKey, persists: Bool, hasSeveralNexuses: Bool,
        paths: [(index: Int32, nexus: InitiatorSessionID)]
    ) {
        self.command = command
        self.hasSeveralNexuses = hasSeveralNexuses
        self.key = key
        self.persists = persists
        self.paths = paths.map(\.index)
        nexuses = paths.map(\.nexus)
        state =
            switch command {
            case .status: .readingKeys
            case .release, .preempt(_, nil, _): .reading(0, isAfter: false)
            default: .ordering(0)
            }
    }

    /// Nobody knows what became of it.
    var isUnknown: Bool { outcome == .failed(.unknown) }

    var isEnded: Bool { state == .ended }

    /// Whether news of lost registrations and reservations may be this run's own doing.
    var explainsLosses: Bool {
        switch command {
        case .clear, .unregister, .register: true
        case .reserve, .release, .preempt, .status: false
        }
    }

    /// The next command and its path; nil when the run has ended.
    var next: (step: ReservationStep, path: Int32)? {
        switch state {
        case .ordering(let place): order.map { (.order($0), paths[place]) }
        case .reading(let place, _): (.read(.readReservation), paths[place])
        case .withdrawing(let place): (.order(withdrawal), done[place])
        case .readingKeys: (.read(.readKeys), done.last ?? paths[0])
        case .readingReservation: (.read(.readReservation), done.last ?? paths[0])
        case .ended: nil
        }
    }

    private var order: PersistentReserveOrder? {
        switch command {
        case .register(let new, let persists):
            PersistentReserveOrder(
                .registerAndIgnoreExistingKey, key: .none, actionKey: new, persists: persists)
        case .unregister: withdrawal
        case .reserve(let type): PersistentReserveOrder(.reserve, type: type, key: key)
        case .release: PersistentReserveOrder(.release, type: reservation?.holder?.type, key: key)
        case .preempt(let victim, let type, let aborts):
            PersistentReserveOrder(
                aborts ? .preemptAndAbort : .preempt,
                type: type ?? reservation?.holder?.type ?? .writeExclusiveRegistrantsOnly, key: key,
                actionKey: victim)
        case .clear: PersistentReserveOrder(.clear, key: key)
        case .status: nil
        }
    }

    /// Ends this nexus' registration, with whichever key.
    private var withdrawal: PersistentReserveOrder {
        PersistentReserveOrder(.registerAndIgnoreExistingKey, key: .none, persists: persists)
    }

    /// Whether less is registered than was, so that somebody has taken it away.
    private func isMissing(in keys: RegisteredKeys) -> Bool {
        guard case .register(let new, _) = command, !keys.isTruncated else { return false }
        let registered = zip(paths, nexuses).filter { done.contains($0.0) }
        return keys.count(of: new) < Set(registered.map(\.1)).count
    }

    private var isForAllPaths: Bool {
        switch command {
        case .register, .unregister: true
        case .reserve, .release, .preempt, .clear, .status: false
        }
    }

    private func isOurs(_ holder: PersistentReservation.Holder) -> Bool { holder.isHeld(by: key) }

    mutating func answered(_ answer: ReservationAnswer) {
        switch state {
        case .ended: break
        case .ordering(let place): ordered(place, answer)
        case .reading(let place, let isAfter):
            guard let data = data(answer) else { return }
            guard take(reservation: data) else { return }
            isAfter ? looked(place) : looked()
        case .withdrawing(let place):
            guard place + 1 == done.count else {
                state = .withdrawing(place + 1)
                return
            }
            isPreempted = true
            fail(.conflict("another host has pre-empted the key while it was registered"))
        case .readingKeys:
            guard let data = data(answer) else { return }
            do throws(SCSIDataError) {
                let keys = try unsafe RegisteredKeys(data.span.bytes)
                self.keys = keys
                state = isMissing(in: keys) ? .withdrawing(0) : .readingReservation
            } catch {
                fail(.failed("\(error)"))
            }
        case .readingReservation:
            guard let data = data(answer), take(reservation: data) else { return }
            state = .ended
        }
    }

    private mutating func ordered(_ place: Int, _ answer: ReservationAnswer) {
        switch answer {
        case .good:
            done.append(paths[place])
            switch command {
            // Of registrants only one nexus holds the reservation, and the others' RELEASE does nothing.
            case .release: state = .reading(place, isAfter: true)
            case _ where isForAllPaths: goOn(after: place)
            default: state = .readingKeys
            }
        case .conflict:
            if command == .unregister {
                // It is not registered here: just what was wanted.
                done.append(paths[place])
                return goOn(after: place)
            }
            if isForAllPaths { return stumble(place, "RESERVATION CONFLICT") }
            if case .preempt(let victim, _, _) = command {
                return fail(.conflict("no host is registered with \(victim), or this one is not any more"))
            }
            state = .reading(place, isAfter: true)
        case .failed(let text) where isForAllPaths: stumble(place, text)
        case .lost where isForAllPaths: stumble(place, "the path was lost")
        case .failed(let text): fail(.failed(text))
        case .lost: fail(.unknown)
        }
    }

    private mutating func stumble(_ place: Int, _ text: String) {
        problems.append((paths[place], text))
        goOn(after: place)
    }

    private mutating func goOn(after place: Int) {
        if place + 1 < paths.count {
            state = .ordering(place + 1)
        } else if done.isEmpty {
            fail(.failed(problems.first?.text ?? "no path"))
        } else {
            state = .readingKeys
        }
    }

    /// The reservation is known before the order.
    private mutating func looked() {
        guard command == .release else {
            // PREEMPT keeps the type of the present reservation.
            if let type = reservation?.holder?.type, type.hasOneNexus, hasSeveralNexuses {
                return fail(.severalPaths(type))
            }
            state = .ordering(0)
            return
        }
        guard let holder = reservation?.holder else {
            state = .readingKeys
            return
        }
        guard isOurs(holder) else {
            return fail(.conflict("\(holder.type) is held by key \(holder.key), which is another host's"))
        }
        state = .ordering(0)
    }

    /// The reservation is known after the order, or after its refusal.
    private mutating func looked(_ place: Int) {
        let holder = reservation?.holder
        switch command {
        case .release:
            guard let holder, isOurs(holder) else {
                state = .readingKeys
                return
            }
            guard place + 1 < paths.count else {
                return fail(
                    .failed(
                        "\(holder.type) is held by a nexus of this host that is not up; it can be released "
                            + "once its path is back, or removed with clear"))
            }
            state = .ordering(place + 1)
        case .reserve(let type):
            guard let holder else { return fail(.conflict("this host is not registered at the LUN")) }
            guard isOurs(holder), holder.type == type else {
                let whose = isOurs(holder) ? "this host's" : "another host's"
                return fail(.conflict("\(holder.type) is held already by key \(holder.key), \(whose)"))
            }
            state = .readingKeys
        default: fail(.conflict("this host is not registered at the LUN"))
        }
    }

    private mutating func data(_ answer: ReservationAnswer) -> [UInt8]? {
        switch answer {
        case .good(let data): return data
        case .conflict: fail(.conflict("PERSISTENT RESERVE IN: RESERVATION CONFLICT"))
        case .failed(let text): fail(.failed(text))
        case .lost: fail(.unknown)
        }
        return nil
    }

    private mutating func take(reservation data: [UInt8]) -> Bool {
        do throws(SCSIDataError) {
            reservation = try unsafe PersistentReservation(data.span.bytes)
            return true
        } catch {
            fail(.failed("\(error)"))
            return false
        }
    }

    /// The LUN does not answer.
    mutating func giveUp() { fail(.unknown) }

    private mutating func fail(_ error: ReservationError) {
        outcome = .failed(error)
        state = .ended
    }
}
