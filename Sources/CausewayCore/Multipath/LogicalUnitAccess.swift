/// What a disk's `alua` setting allows.
public enum AccessMode: String, CaseIterable, BitwiseCopyable, Sendable {
    /// As the LUN says: its states are followed, and SET TARGET PORT GROUPS is sent where it helps.
    case automatic = "auto"
    /// States are followed and never set.
    case implicit
    /// Every path is as good as another until a command is refused.
    case off
}

/// Which paths may carry a LUN's I/O now, by asymmetric logical unit access (SPC-4 §5.15): the states of its
/// target port groups, from REPORT TARGET PORT GROUPS and from sense data, and when either is to be asked or
/// set.
struct LogicalUnitAccess {
    struct Group {
        var state: AccessState
        var isPreferred = false
        /// Since when it has been in transition.
        var transitionBegan: Instant?
    }

    /// Of a LUN whose target says nothing (SPC-4 §6.37 leaves it to the application client).
    static let transitionMilliseconds: UInt64 = 60_000
    /// REPORT TARGET PORT GROUPS while all is well: changes also come as unit attentions, but only to those
    /// who send commands.
    static let pollMilliseconds: UInt64 = 60_000
    /// The same while no path carries I/O.
    static let urgentPollMilliseconds: UInt64 = 500
    /// So long no active group was in reach before a group is activated, and longer where the target would
    /// have its I/O go elsewhere: another initiator may be there for a reason.
    static let activationPatienceMilliseconds: UInt64 = 2000
    static let unpreferredPatienceMilliseconds: UInt64 = 10_000
    /// Between two activations at least, doubled by each, so that two initiators with a path to one group
    /// each do not take the LUN from each other again and again.
    static let activationIntervalMilliseconds: UInt64 = 10_000
    static let activationIntervalMaxMilliseconds: UInt64 = 600_000

    var mode = AccessMode.automatic
    private(set) var support: TargetPortGroupSupport = []
    private(set) var groups: [Int32: Group] = [:]
    /// The group of each path, by the path's ordinal.
    private(set) var groupOfPath: [Int32: Int32] = [:]
    private(set) var transitionLimit = Self.transitionMilliseconds

    /// The lane's task that asks or sets.
    var task: Int32 = -1
    var askAt: Instant?
    private var lastAsked: Instant?
    /// Refused once: the target knows the short header only (SPC-4 §6.37).
    private(set) var isExtendedHeaderRefused = false

    private var inactiveSince: Instant?
    private var activeSince: Instant?
    private var activateNotBefore = Instant(nanoseconds: 0)
    private var activationInterval = Self.activationIntervalMilliseconds

    var isManaged: Bool { mode != .off && !support.isEmpty }

    // MARK: What is learned

    /// A path has shown which group it belongs to. A path that does not say is a group of its own.
    mutating func identified(
        path ordinal: Int32, group: UInt16?, port: UInt16?, support: TargetPortGroupSupport,
        reported: TargetPortGroups?, now: Instant
    ) {
        self.support = support
        if let reported { take(reported, now: now) }
        let byPort = port.flatMap { port in reported?.groups.first { $0.ports.contains(port) }?.group }
        groupOfPath[ordinal] = (group ?? byPort).map { Int32($0) } ?? 0x1_0000 + ordinal
        if isManaged && askAt == nil { askAt = now.adding(milliseconds: Self.pollMilliseconds) }
    }

    mutating func forget(path ordinal: Int32) { groupOfPath[ordinal] = nil }

    /// REPORT TARGET PORT GROUPS itself is refused: first its extended header is left out, then commands have
    /// to find out.
    mutating func reportRefused(_ additional: AdditionalSense) {
        if additional == .invalidFieldInCDB && !isExtendedHeaderRefused {
            isExtendedHeaderRefused = true
        } else {
            groups = [:]
        }
    }

    /// The answer to REPORT TARGET PORT GROUPS. Returns what has changed, in words.
    @discardableResult
    mutating func take(_ reported: TargetPortGroups, now: Instant) -> [String] {
        if let seconds = reported.implicitTransitionTimeSeconds {
            transitionLimit = UInt64(seconds) * 1000
        }
        var changes: [String] = []
        for report in reported.groups {
            let key = Int32(report.group)
            if groups[key]?.state != report.state || groups[key]?.isPreferred != report.isPreferred {
                changes.append(
                    "target port group \(report.group) is \(report.state)"
                        + (report.isPreferred ? ", preferred" : ""))
            }
            set(key, report.state, now)
            groups[key]?.isPreferred = report.isPreferred
        }
        return changes
    }

    /// A path's own word, by sense data: its group is in this state until a report says otherwise.
    /// - Returns: whether that is news.
    mutating func refused(path ordinal: Int32, _ additional: AdditionalSense, now: Instant) -> Bool {
        let state: AccessState =
            switch additional {
            case .accessStateTransition: .transitioning
            case .targetPortStandby: .standby
            case .offline: .offline
            default: .unavailable
            }
        let key = groupOfPath[ordinal] ?? 0x1_0000 + ordinal
        groupOfPath[ordinal] = key
        // A LUN that refuses for such a reason manages access, whatever INQUIRY said.
        if support.isEmpty { support = .implicit }
        let isNews = groups[key]?.state != state
        set(key, state, now)
        askSoon(now: now)
        return isNews
    }

    private mutating func set(_ key: Int32, _ state: AccessState, _ now: Instant) {
        var group = groups[key] ?? Group(state: state)
        group.state = state
        group.transitionBegan = state == .transitioning ? group.transitionBegan ?? now : nil
        groups[key] = group
    }

    // MARK: What follows

    private func rank(_ ordinal: Int32) -> Int {
        // A group that no report names: a command will tell.
        guard let key = groupOfPath[ordinal], let group = groups[key] else { return 1 }
        switch group.state {
        case .activeOptimized: return 4
        case .activeNonOptimized: return group.isPreferred ? 3 : 2
        // Some of its blocks are reached as well as may be, and all of them somehow.
        case .lbaDependent: return group.isPreferred ? 3 : 2
        default: return 0
        }
    }

    /// The paths of the best state out of `shown`, as masks of ordinals; none if no group takes I/O.
    func best(of shown: UInt32) -> UInt32 {
        guard isManaged else { return shown }
        var best: UInt32 = 0
        var bestRank = 1
        var rest = shown
        while rest != 0 {
            let ordinal = Int32(rest.trailingZeroBitCount)
            rest &= rest &- 1
            let rank = rank(ordinal)
            if rank > bestRank {
                bestRank = rank
                best = 0
            }
            if rank == bestRank { best |= 1 &<< UInt32(ordinal) }
        }
        return best
    }

    /// A group's state as a path's standing; nil for a LUN without asymmetric access.
    func standing(path ordinal: Int32) -> (number: UInt16?, group: Group?)? {
        guard !support.isEmpty, let key = groupOfPath[ordinal] else { return nil }
        return (UInt16(exactly: key), groups[key])
    }

    /// When the last transition of the groups that `shown` leads to must have ended; nil if none is in one,
    /// or all have had their time.
    func transitionEnd(of shown: UInt32, now: Instant) -> Instant? {
        guard isManaged else { return nil }
        var end: Instant?
        for (ordinal, key) in groupOfPath where shown & (1 &<< UInt32(ordinal)) != 0 {
            guard let began = groups[key]?.transitionBegan else { continue }
            let limit = began.adding(milliseconds: transitionLimit)
            if now < limit { end = max(end ?? limit, limit) }
        }
        return end
    }

    // MARK: Asking

    /// Something has changed. A target whose sense data and reports contradict each other is not asked in a
    /// circle.
    mutating func askSoon(now: Instant) {
        let earliest = lastAsked.map { $0.adding(milliseconds: Self.urgentPollMilliseconds) } ?? now
        let at = max(now, earliest)
        askAt = min(askAt ?? at, at)
    }

    mutating func asked(now: Instant) {
        lastAsked = now
        askAt = nil
    }

    mutating func answered(isUrgent: Bool, now: Instant) {
        task = -1
        let pause = isUrgent ? Self.urgentPollMilliseconds : Self.pollMilliseconds
        askAt = isManaged ? now.adding(milliseconds: pause) : nil
    }

    // MARK: Setting

    /// Notes whether an active group is in reach.
    mutating func reached(_ isActive: Bool, now: Instant) {
        if isActive {
            inactiveSince = nil
            activeSince = activeSince ?? now
        } else {
            if let since = activeSince,
                now.nanoseconds(since: since) / 1_000_000 >= Self.activationIntervalMaxMilliseconds
            {
                activationInterval = Self.activationIntervalMilliseconds
            }
            activeSince = nil
            inactiveSince = inactiveSince ?? now
        }
    }

    /// Whether the initiator may yet help itself to an active group.
    var maySet: Bool { mode == .automatic && support.contains(.explicit) }

    /// When to look whether a group is to be activated; nil unless that may come.
    func activationAt() -> Instant? {
        guard maySet, let inactiveSince else { return nil }
        let isWantedElsewhere = groups.contains { key, group in
            group.isPreferred && !groupOfPath.values.contains(key)
        }
        let patience =
            isWantedElsewhere ? Self.unpreferredPatienceMilliseconds : Self.activationPatienceMilliseconds
        return max(inactiveSince.adding(milliseconds: patience), activateNotBefore)
    }

    /// The group to activate and a path that leads to it, best first; nil where there is none in a state
    /// that can be left by command (SPC-4 §5.15.2.1: unavailable and offline cannot).
    func candidate(among paths: [Int32]) -> (path: Int32, group: UInt16)? {
        var found: (path: Int32, group: UInt16)?
        for ordinal in paths.sorted() {
            guard let key = groupOfPath[ordinal], let number = UInt16(exactly: key),
                let group = groups[key], group.state == .standby
            else { continue }
            if group.isPreferred { return (ordinal, number) }
            if found == nil { found = (ordinal, number) }
        }
        return found
    }

    mutating func activationBegan(now: Instant) {
        activateNotBefore = now.adding(milliseconds: activationInterval)
        activationInterval = min(2 * activationInterval, Self.activationIntervalMaxMilliseconds)
        asked(now: now)
    }
}
