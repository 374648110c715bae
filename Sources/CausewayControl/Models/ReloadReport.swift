/// The parameters of `io.causeway.Reload`.
public struct ReloadRequest: Codable, Equatable, Sendable {
    /// Log in anew, path by path, where that is what a change waits for.
    public var relogin: Bool

    public init(relogin: Bool = false) {
        self.relogin = relogin
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        relogin = try values.decodeIfPresent(Bool.self, forKey: .relogin) ?? false
    }
}

/// The result of `Reload`: what became of each disk.
public struct ReloadReport: Codable, Equatable, Sendable {
    public var disks: [ReloadedDisk]
    /// What concerns no single disk.
    public var notes: [String]

    public init(disks: [ReloadedDisk], notes: [String] = []) {
        self.disks = disks
        self.notes = notes
    }

    /// Whether something could not be done.
    public var hasProblems: Bool { disks.contains { !$0.problems.isEmpty } }
}

/// What a reload did with a disk. Sentences are for people.
public struct ReloadedDisk: Codable, Equatable, Sendable {
    public var name: DiskName
    public var outcome: ReloadOutcome
    /// What is changed and in force.
    public var applied: [String] = []
    /// What holds from a path's next login on, by name: `chap`, keys of RFC 7143, settings.
    public var needsLogin: [String] = []
    /// The paths, by name, that are still logged in as it was before.
    public var oldLogins: [String] = []
    /// The paths that were logged in anew.
    public var loggedIn: [String] = []
    /// What is changed in the file and left alone: it takes a detach and an attach.
    public var needsAttach: [String] = []
    /// What could not be done, and why.
    public var problems: [String] = []

    public init(name: DiskName, outcome: ReloadOutcome) {
        self.name = name
        self.outcome = outcome
    }
}

/// What became of a disk. An open set: a client prints what a newer daemon says.
public struct ReloadOutcome: RawRepresentable, Hashable, Codable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// It is not attached, and the daemon tries it until it is.
    public static let attaching = ReloadOutcome(rawValue: "attaching")
    public static let unchanged = ReloadOutcome(rawValue: "unchanged")
    public static let changed = ReloadOutcome(rawValue: "changed")
    /// It has a file and was detached by hand: it stays so.
    public static let detached = ReloadOutcome(rawValue: "detached")
    /// Its file is gone; it stays attached.
    public static let fileRemoved = ReloadOutcome(rawValue: "file-removed")
    /// Its file is gone before it was attached: it is not tried any more.
    public static let givenUp = ReloadOutcome(rawValue: "given-up")
    /// It is being attached, taken over or detached just now: nothing was done.
    public static let busy = ReloadOutcome(rawValue: "busy")
}
