/// A command of PERSISTENT RESERVE IN or OUT that is to be sent.
enum ReservationStep: Equatable {
    case read(PersistentReserveInAction)
    case order(PersistentReserveOrder)
    /// A WRITE(16) of no blocks: it changes nothing, and meets a reservation as any other does.
    case tryWrite

    /// Why a path is of no use although its key is registered: Linux's target lets only the session that made
    /// a reservation write, of those that an initiator name has in one portal group, whatever the type.
    static let onlyHolderWrites =
        "the target lets only the path that made the reservation write; give each portal a portal group of "
        + "its own"
}

/// How such a command ended.
enum ReservationAnswer: Equatable {
    /// GOOD, with the data of PERSISTENT RESERVE IN.
    case good([UInt8])
    case conflict
    case failed(String)
    /// Its path was lost: nothing is known of an order.
    case lost
}

/// Registers a session that has come with the disk's key, before its first I/O: only if the key still stands
/// for another nexus of this host, or for this one.
///
/// Another host that pre-empts the key takes all its registrations away at once. To register again then would
/// undo what that host relies on, so that each step is one that fails, or can be taken back, where a
/// pre-emption comes between.
struct PathRegistration {
    enum Verdict: Equatable {
        case registered
        /// Another host has taken the key away.
        case evicted(String)
        case failed(String)
    }

    private enum State: Equatable {
        /// An administrator wants it whatever there is.
        case insisting
        case readingKeys
        /// A change from the key to itself, which only a nexus that is registered with it may make.
        case confirming
        case registering
        /// Whether the key of another nexus still stands beside the new one.
        case checking
        case withdrawing
        /// Is the LUN reserved by this host? Then the path must be able to write.
        case readingReservation
        case trying
        case ended(Verdict)
    }

    private let key: ReservationKey
    private let persists: Bool
    private var state: State

    init(_ registration: DiskRegistration) {
        key = registration.key
        persists = registration.persists
        state = registration.state == .wanted ? .insisting : .readingKeys
    }

    var verdict: Verdict? { if case .ended(let verdict) = state { verdict } else { nil } }

    /// nil when it has ended.
    var step: ReservationStep? {
        switch state {
        case .insisting:
            .order(
                PersistentReserveOrder(
                    .registerAndIgnoreExistingKey, key: .none, actionKey: key, persists: persists))
        case .readingKeys, .checking: .read(.readKeys)
        case .confirming: register(over: key, key)
        case .registering: register(over: .none, key)
        case .withdrawing: register(over: key, .none)
        case .readingReservation: .read(.readReservation)
        case .trying: .tryWrite
        case .ended: nil
        }
    }

    private func register(over old: ReservationKey, _ new: ReservationKey) -> ReservationStep {
        .order(PersistentReserveOrder(.register, key: old, actionKey: new, persists: persists))
    }

    mutating func answered(_ answer: ReservationAnswer) {
        switch (state, answer) {
        case (.ended, _): break
        case (.trying, .conflict): state = .ended(.failed(ReservationStep.onlyHolderWrites))
        case (.trying, .good), (.trying, .failed): state = .ended(.registered)
        // What the other host did stands, whatever became of this command.
        case (.withdrawing, _): state = .ended(.evicted(Self.takenMeanwhile))
        case (_, .failed(let text)):
            state = .ended(.failed("its reservation key cannot be registered: \(text)"))
        case (_, .lost): state = .ended(.failed("the path was lost while it was registered"))
        case (.readingKeys, .good(let data)): state = take(data, atLeast: 1, then: .confirming)
        case (.checking, .good(let data)): state = take(data, atLeast: 2, then: .readingReservation)
        case (.confirming, .good), (.insisting, .good): state = .readingReservation
        case (.readingReservation, .good(let data)): state = look(at: data)
        case (.confirming, .conflict): state = .registering
        case (.registering, .good): state = .checking
        case (.registering, .conflict):
            state = .ended(.failed("this nexus is registered with another reservation key than \(key)"))
        case (.readingKeys, .conflict), (.checking, .conflict), (.insisting, .conflict),
            (.readingReservation, .conflict):
            state = .ended(.failed("its reservation key cannot be registered: RESERVATION CONFLICT"))
        }
    }

    private func look(at data: [UInt8]) -> State {
        do throws(SCSIDataError) {
            let holder = try unsafe PersistentReservation(data.span.bytes).holder
            return holder?.isHeld(by: key) == true ? .trying : .ended(.registered)
        } catch {
            return .ended(.failed("\(error)"))
        }
    }

    private static let takenMeanwhile =
        "another host has pre-empted its reservation key while a path came back"

    private func take(_ data: [UInt8], atLeast count: Int, then next: State) -> State {
        do throws(SCSIDataError) {
            let keys = try unsafe RegisteredKeys(data.span.bytes)
            if keys.count(of: key) >= count { return next }
            guard !keys.isTruncated else {
                return .ended(.failed("the LUN has more reservation keys than are looked at"))
            }
            return count == 1
                ? .ended(.evicted("its reservation key \(key) is not registered any more")) : .withdrawing
        } catch {
            return .ended(.failed("\(error)"))
        }
    }
}
