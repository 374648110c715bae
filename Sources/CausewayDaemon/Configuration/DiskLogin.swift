import CausewayConfiguration
import CausewayControl
import CausewayCore

/// What a disk's paths log in with. Disks of one target share its sessions: the newest word holds.
struct DiskLogin: Sendable {
    var authentication: Authentication
    var parameters: WantedParameters
    /// Commands under way on a path at most; 0: as the lane has it.
    var depth: Int32

    /// Reads the secrets.
    init(_ settings: InheritedSettings) throws(ControlError) {
        authentication = try settings.chap.authentication()
        parameters = settings.parameters
        depth = Int32(clamping: settings.queueDepth ?? 0)
    }

    /// The names of what is not the same, for people.
    func differences(from other: DiskLogin) -> [String] {
        var names = authentication.isSame(as: other.authentication) ? [] : ["chap"]
        names += SessionParameter.differences(parameters, other.parameters)
        if depth != other.depth { names.append("queue-depth") }
        return names
    }
}

/// The sessions of a target that were made before its login settings were changed.
struct OldLogins: Sendable, Equatable {
    /// What holds from their next logins on.
    var reasons: [String] = []
    var sessions: Set<SessionName> = []

    /// More is changed, and these sessions stand.
    mutating func add(_ names: [String], _ standing: Set<SessionName>) {
        guard !standing.isEmpty else { return }
        reasons += names.filter { !reasons.contains($0) }
        sessions.formUnion(standing)
    }
}
