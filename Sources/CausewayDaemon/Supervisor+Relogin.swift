import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import Synchronization

/// Paths that are logged in anew because login settings were changed.
extension Supervisor {
    /// Longer than a path that leaves may take to end what is under way.
    private static let leaveMilliseconds = 40_000
    private static let loginMilliseconds = 30_000
    /// For a path to show all disks of its target after it came up.
    private static let settleMilliseconds = 5000
    private static let stepMilliseconds = 20

    /// What became of the paths of a target.
    struct LoggedIn {
        var paths: [String] = []
        var problem: String?
    }

    /// Sessions that stand keep what they have, and are remembered until they are made anew.
    func noteOldLogins(_ disk: AttachedDisk, _ names: [String]) {
        guard !names.isEmpty else { return }
        let isids = isids(disk.target)
        let standing = disk.pathNames().filter(\.hasSession).flatMap { isids[$0.text] ?? [] }
        let sessions = standing.map {
            SessionName(initiator: initiatorName, target: disk.target, isid: $0)
        }
        state.withLock { $0.oldLogins[disk.target, default: OldLogins()].add(names, Set(sessions)) }
    }

    func forgetOldLogin(_ session: SessionName) {
        state.withLock { state in
            state.oldLogins[session.target]?.sessions.remove(session)
            if state.oldLogins[session.target]?.sessions.isEmpty == true {
                state.oldLogins[session.target] = nil
            }
        }
    }

    /// What a disk's report says of its target's logins.
    func tellLogins(_ disk: AttachedDisk, _ loggedIn: LoggedIn?, _ result: inout ReloadedDisk) {
        result.loggedIn = loggedIn?.paths ?? []
        if let problem = loggedIn?.problem { result.problems.append(problem) }
        if !result.loggedIn.isEmpty && result.outcome == .unchanged { result.outcome = .changed }
        let old = oldPaths(disk)
        result.oldLogins = old.map(\.text)
        result.needsLogin = old.isEmpty ? [] : state.withLock { $0.oldLogins[disk.target]?.reasons ?? [] }
    }

    /// Path after path of each target: the next one only leaves once this one carries I/O again.
    func logInAgain(_ targets: Set<ISCSIName>) -> [ISCSIName: LoggedIn] {
        var done: [ISCSIName: LoggedIn] = [:]
        for target in targets {
            // The one with a queue on every lane that has sessions of the target.
            let disk = state.withLock { state in
                state.disks.values.filter { $0.target == target }.max {
                    ($0.shards.count, $1.name.text) < ($1.shards.count, $0.name.text)
                }
            }
            guard let disk else { continue }
            var result = LoggedIn()
            if disk.multipathing == .connections {
                done[target] = renewSession(disk)
                continue
            }
            for path in oldPaths(disk) where result.problem == nil {
                do throws(ControlError) {
                    try logInAgain(disk, path)
                    result.paths.append(path.text)
                    disk.remember("\(path) is logged in anew for changed login settings")
                } catch {
                    result.problem = "\(path): \(error.message); the paths after it keep their sessions"
                }
            }
            done[target] = result
        }
        return done
    }

    /// The paths share a session: it is made anew, and I/O waits for that.
    private func renewSession(_ disk: AttachedDisk) -> LoggedIn {
        var result = LoggedIn()
        let paths = oldPaths(disk)
        guard !paths.isEmpty, disk.isInLanes else { return result }
        disk.perform { $0.lane.renewSession($1, now: $0.time) }
        for path in paths {
            if awaitPath(disk, path, Self.loginMilliseconds, \.carriesDisk) {
                result.paths.append(path.text)
            } else if result.problem == nil {
                result.problem = "\(path): it is not up again"
            }
        }
        disk.remember("the session of all paths is made anew for changed login settings")
        return result
    }

    private func logInAgain(_ disk: AttachedDisk, _ path: DiskPathName) throws(ControlError) {
        let leave = ChangePathsRequest(name: disk.name, paths: [path.pathName])
        var waited = 0
        while true {
            do throws(ControlError) {
                _ = try changePaths(leave, .disable)
                break
            } catch {
                // The path before this one may not show every disk yet.
                guard waited < Self.settleMilliseconds else {
                    throw ControlError(
                        kind: error.kind, message: "it is not logged in anew: \(error.message)",
                        remedy: error.remedy)
                }
                Pause.milliseconds(Self.stepMilliseconds)
                waited += Self.stepMilliseconds
            }
        }
        let hasLeft = awaitPath(disk, path, Self.leaveMilliseconds) { !$0.hasSession }
        // Whatever came of it: what this disabled is not to stay so.
        _ = try changePaths(leave, .enable)
        guard hasLeft else { throw .busy("its commands do not end, so it is not logged in anew") }
        guard awaitPath(disk, path, Self.loginMilliseconds, \.carriesDisk) else {
            let reason = (try? report(disk))?.paths.first {
                ($0.interface ?? "") == path.interface && "\($0.portal)" == path.portal
            }?.reason
            throw .busy("it is not up again" + (reason.map { ": \($0)" } ?? ""))
        }
    }

    private func awaitPath(
        _ disk: AttachedDisk, _ path: DiskPathName, _ milliseconds: Int, _ isReached: (DiskPathName) -> Bool
    ) -> Bool {
        for _ in 0..<milliseconds / Self.stepMilliseconds {
            if disk.pathNames().contains(where: { $0 == path && isReached($0) }) { return true }
            Pause.milliseconds(Self.stepMilliseconds)
        }
        return false
    }

    /// The paths of a disk whose sessions are older than the login settings.
    private func oldPaths(_ disk: AttachedDisk) -> [DiskPathName] {
        let old = Set(state.withLock { $0.oldLogins[disk.target]?.sessions ?? [] }.map(\.isid))
        guard !old.isEmpty else { return [] }
        let isids = isids(disk.target)
        // One that was disabled by hand has no session, or soon none, and stays disabled.
        return disk.pathNames().filter { path in
            path.hasSession && path.standing != .disabled && path.standing != .removing
                && !old.isDisjoint(with: isids[path.text] ?? [])
        }
    }

    /// The ISIDs of a target's paths, one for each queue, by the paths' names. Its disks share them.
    private func isids(_ target: ISCSIName) -> [String: Set<InitiatorSessionID>] {
        var isids: [String: Set<InitiatorSessionID>] = [:]
        for disk in state.withLock({ $0.disks.values.filter { $0.target == target } }) {
            for path in disk.state.withLock({ $0.plan }) {
                let name = DiskPathName(interface: path.interface ?? "", portal: "\(path.portal)")
                isids[name.text, default: []].insert(path.isid)
            }
        }
        return isids
    }
}

/// A path of a disk by its name, and where it stands.
struct DiskPathName: Equatable, CustomStringConvertible {
    /// Empty where the path is unbound.
    var interface: String
    /// `address:port`
    var portal: String
    var standing = PathStanding.down
    var hasSession = false

    /// It carries the disk's I/O, or could.
    var carriesDisk: Bool { standing == .active || standing == .standby }

    var text: String { interface.isEmpty ? portal : "\(interface)/\(portal)" }
    var description: String { text }
    /// As `PathName` takes it: with an empty interface it stands for the unbound path alone.
    var pathName: String { "\(interface)/\(portal)" }

    static func == (a: DiskPathName, b: DiskPathName) -> Bool {
        a.interface == b.interface && a.portal == b.portal
    }
}

extension AttachedDisk {
    /// Its paths as the lanes have them.
    func pathNames() -> [DiskPathName] {
        (snapshot()?.paths ?? []).map {
            DiskPathName(
                interface: $0.interface, portal: $0.portal, standing: $0.standing, hasSession: $0.hasSession)
        }
    }
}
