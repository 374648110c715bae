/// What a disk is registered with at its LUN, for all of its paths.
public struct DiskRegistration: Equatable, Sendable {
    public enum State: String, Equatable, Sendable {
        /// An administrator has asked for it, and it is not done on any path yet.
        case wanted
        case standing
        /// Another host has taken it away: writes fail, and nothing is registered, until an administrator
        /// registers again.
        case evicted
    }

    public var key: ReservationKey
    public var state: State
    /// APTPL: it outlives a power loss of the target.
    public var persists: Bool
    /// The one path that may use the LUN, `interface->portal`: it holds a reservation of one nexus.
    public var pinnedPath: String?
    /// Nexuses, by `interface->portal` or by the ISID where paths share a session, that may be registered
    /// although nobody saw the key of another beside it.
    public var unproved: Set<String> = []

    /// Why a path is of no use although its key is registered: Linux's target lets only the session that made
    /// a reservation write, of those that an initiator name has in one portal group, whatever the type.
    static let onlyHolderWrites =
        "the target lets only the path that made the reservation write: it needs a portal group for each "
        + "portal"

    public init(
        key: ReservationKey, state: State = .wanted, persists: Bool = false, pinnedPath: String? = nil
    ) {
        self.key = key
        self.state = state
        self.persists = persists
        self.pinnedPath = pinnedPath
    }

    /// For people.
    func text(_ disk: String) -> String {
        switch state {
        case .wanted: "reservation key \(key) is being registered"
        case .standing:
            "registered with reservation key \(key)" + (pinnedPath.map { ", pinned to \($0)" } ?? "")
        case .evicted:
            "another host has taken reservation key \(key) away: writes fail until "
                + "causeway reserve \(disk) register"
        }
    }
}

/// What an administrator asks of a disk's persistent reservations (SPC-4 §5.9).
public enum ReservationCommand: Equatable, Sendable {
    case register(ReservationKey, persists: Bool)
    case unregister
    case reserve(PersistentReservationType)
    case release
    /// Takes the key `victim` away from the LUN, and its reservation for this host. With `aborts`, its
    /// commands too. Without a type: the present reservation's.
    case preempt(victim: ReservationKey, PersistentReservationType?, aborts: Bool)
    case clear
    case status
}

/// Who is registered at a LUN, and who has reserved it.
public struct ReservationReport: Equatable, Sendable {
    public var generation: UInt32
    public var keys: [ReservationKey]
    public var holder: PersistentReservation.Holder?
    /// This disk's own, and the paths that carry it.
    public var registration: DiskRegistration?
    public var registeredPaths: [String]
    /// What went wrong on single paths.
    public var problems: [String]
}

/// Why a command of reservations was not done.
public enum ReservationError: Error, Equatable, Sendable {
    /// Another one is under way.
    case busy
    /// No path shows the LUN.
    case noPath
    case notRegistered
    /// A type with one holder nexus, on a disk of several paths.
    case severalPaths(PersistentReservationType)
    /// To pre-empt the own key would end this host's own registrations.
    case ownKey
    case conflict(String)
    case failed(String)
    /// The path that carried it was lost, or the LUN did not answer: nobody knows whether it was done.
    case unknown
}
