/// A command of PERSISTENT RESERVE IN or OUT that is to be sent.
enum ReservationStep: Equatable {
    case read(PersistentReserveInAction)
    case order(PersistentReserveOrder)
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
/// undo what that host relies on, so that each step is one that fails, or is taken back, where a pre-emption
/// comes between. A registration that was not seen to stand beside another (`isUnproved`) proves nothing
/// later either: it is taken back first.
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
        /// A registration that was made and never proved goes first.
        case takingBack
        case readingKeys
        /// A change from the key to itself, which only a nexus that is registered with it may make.
        case confirming
        case registering
        /// The nexus is registered with an earlier key of this host.
        case replacing
        /// Whether the key of another nexus still stands beside the new one.
        case checking
        case withdrawing
        /// Is the LUN reserved by this host?
        case readingReservation
        case ended(Verdict)
    }

    private let registration: DiskRegistration
    /// This path was found to be of no use under a reservation of this host's own.
    private let isShutOut: Bool
    private var state: State
    /// The key may be registered for this nexus without a proof.
    private(set) var isUnproved: Bool

    private var key: ReservationKey { registration.key }

    init(_ registration: DiskRegistration, isUnproved: Bool = false, isShutOut: Bool = false) {
        self.registration = registration
        self.isUnproved = isUnproved
        self.isShutOut = isShutOut
        state =
            switch registration.state {
            case .wanted: .insisting
            case .standing, .evicted: isUnproved ? .takingBack : .readingKeys
            }
    }

    var verdict: Verdict? { if case .ended(let verdict) = state { verdict } else { nil } }

    /// nil when it has ended.
    var step: ReservationStep? {
        switch state {
        case .readingKeys, .checking: .read(.readKeys)
        case .confirming: register(over: key, key)
        case .registering: register(over: .none, key)
        case .takingBack, .withdrawing: register(over: key, .none)
        case .insisting, .replacing:
            .order(
                PersistentReserveOrder(
                    .registerAndIgnoreExistingKey, key: .none, actionKey: key, persists: registration.persists
                ))
        case .readingReservation: .read(.readReservation)
        case .ended: nil
        }
    }

    private func register(over old: ReservationKey, _ new: ReservationKey) -> ReservationStep {
        .order(
            PersistentReserveOrder(.register, key: old, actionKey: new, persists: registration.persists))
    }

    mutating func answered(_ answer: ReservationAnswer) {
        switch (state, answer) {
        case (.ended, _): break
        // What the other host did stands, whatever became of this command.
        case (.withdrawing, _):
            if answer == .conflict || answer.isGood { isUnproved = false }
            state = .ended(.evicted(Self.takenMeanwhile))
        case (_, .failed(let text)):
            state = .ended(.failed("its reservation key cannot be registered: \(text)"))
        case (_, .lost): state = .ended(.failed("the path was lost while it was registered"))
        case (.takingBack, _):
            isUnproved = false
            state = registration.state == .evicted ? .ended(.evicted(Self.takenMeanwhile)) : .readingKeys
        case (.readingKeys, .good(let data)): state = take(data, atLeast: 1, then: .confirming)
        case (.checking, .good(let data)):
            state = take(data, atLeast: 2, then: .readingReservation)
            if state == .readingReservation { isUnproved = false }
        case (.confirming, .good), (.insisting, .good): state = .readingReservation
        case (.confirming, .conflict): begin(.registering)
        case (.registering, .conflict): begin(.replacing)
        case (.registering, .good), (.replacing, .good): state = .checking
        case (.readingReservation, .good(let data)): state = look(at: data)
        case (.readingKeys, .conflict), (.checking, .conflict), (.insisting, .conflict),
            (.replacing, .conflict), (.readingReservation, .conflict):
            state = .ended(.failed("its reservation key cannot be registered: RESERVATION CONFLICT"))
        }
    }

    private mutating func begin(_ next: State) {
        isUnproved = true
        state = next
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

    private func look(at data: [UInt8]) -> State {
        do throws(SCSIDataError) {
            let holder = try unsafe PersistentReservation(data.span.bytes).holder
            let isOurs = holder?.isHeld(by: key) == true
            return .ended(isShutOut && isOurs ? .failed(DiskRegistration.onlyHolderWrites) : .registered)
        } catch {
            return .ended(.failed("\(error)"))
        }
    }
}

extension ReservationAnswer {
    fileprivate var isGood: Bool { if case .good = self { true } else { false } }
}
