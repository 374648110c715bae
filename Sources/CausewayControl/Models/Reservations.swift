/// What is done about a disk's persistent reservations (SPC-4 §5.9). An open set.
public struct ReservationAction: RawRepresentable, Hashable, Codable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    public static let register = ReservationAction(rawValue: "register")
    public static let unregister = ReservationAction(rawValue: "unregister")
    public static let reserve = ReservationAction(rawValue: "reserve")
    public static let release = ReservationAction(rawValue: "release")
    public static let preempt = ReservationAction(rawValue: "preempt")
    public static let preemptAbort = ReservationAction(rawValue: "preempt-abort")
    public static let clear = ReservationAction(rawValue: "clear")
    public static let status = ReservationAction(rawValue: "status")

    public static let all: [ReservationAction] = [
        .register, .unregister, .reserve, .release, .preempt, .preemptAbort, .clear, .status,
    ]

    /// What it needs beside the disk, and what it may have.
    var needsVictim: Bool { self == .preempt || self == .preemptAbort }
    var mayHaveKey: Bool { self == .register }
    var mayHaveType: Bool { self == .reserve || needsVictim }
}

/// The parameters of `io.causeway.Reserve`. Keys are hexadecimal, with 0x or without.
public struct ReserveRequest: Codable, Equatable, Sendable {
    public var name: DiskName
    public var action: ReservationAction
    /// `register`: the key; without, the one that the disk had, or one that nobody else has.
    public var key: String?
    /// `reserve`, `preempt` and `preempt-abort`: the type, by name.
    public var type: String?
    /// `preempt` and `preempt-abort`: whose key is taken away.
    public var victim: String?
    /// `register`: the registrations outlive a power loss of the target (APTPL).
    public var aptpl: Bool

    public init(
        name: DiskName, action: ReservationAction, key: String? = nil, type: String? = nil,
        victim: String? = nil, aptpl: Bool = false
    ) {
        self.name = name
        self.action = action
        self.key = key
        self.type = type
        self.victim = victim
        self.aptpl = aptpl
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(DiskName.self, forKey: .name)
        action = try values.decode(ReservationAction.self, forKey: .action)
        key = try values.decodeIfPresent(String.self, forKey: .key)
        type = try values.decodeIfPresent(String.self, forKey: .type)
        victim = try values.decodeIfPresent(String.self, forKey: .victim)
        aptpl = try values.decodeIfPresent(Bool.self, forKey: .aptpl) ?? false
    }

    /// Checks what needs no disk; keys and types are read by whoever carries it out.
    public func validate() throws(ControlError) {
        guard ReservationAction.all.contains(action) else {
            throw .invalidArgument(
                "there is no reservation command \"\(action.rawValue)\"",
                remedy: "use " + ReservationAction.all.map(\.rawValue).joined(separator: ", "))
        }
        if action.needsVictim && victim == nil {
            throw .invalidArgument(
                "\(action.rawValue) needs the key that is taken away",
                remedy: "give it with --victim; causeway reserve \(name) status shows the keys")
        }
        let misplaced =
            key != nil && !action.mayHaveKey
            ? "key"
            : type != nil && !action.mayHaveType
                ? "type"
                : victim != nil && !action.needsVictim
                    ? "victim" : aptpl && action != .register ? "aptpl" : nil
        if let misplaced {
            throw .invalidArgument(
                "\(action.rawValue) takes no --\(misplaced)", remedy: "leave --\(misplaced) out")
        }
    }
}

/// The result of `Reserve`: who is registered at the LUN, and who has reserved it. Keys as they are printed.
public struct ReservationStatus: Codable, Equatable, Sendable {
    public var name: DiskName
    /// This host's key; nil where the disk is not registered.
    public var key: String?
    /// `standing`, or `evicted` where another host has taken the key away.
    public var state: String?
    /// This disk's paths that are registered.
    public var paths: [String]
    /// The one path that may use the LUN, for types with one holder.
    public var pinnedPath: String?
    /// PRGENERATION: changes of registrations, by any host.
    public var generation: UInt32
    /// The keys of all registered nexuses, of all hosts.
    public var keys: [String]
    /// The reservation's type and its holder's key; nil where the LUN is not reserved. Where all registrants
    /// hold it there is no key.
    public var type: String?
    public var holder: String?
    /// What went wrong on single paths.
    public var problems: [String]

    public init(name: DiskName, generation: UInt32, keys: [String], paths: [String] = []) {
        self.name = name
        self.generation = generation
        self.keys = keys
        self.paths = paths
        problems = []
    }
}
