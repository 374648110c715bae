import CausewayCore
import Glibc
import LinuxSystem
import Logging
import Synchronization

/// The daemon's lanes. Every target belongs to one, with its sessions and all of its disks, and stays there;
/// targets are spread over the lanes. A lane is made when a target needs it: a daemon with one target has
/// one.
final class Lanes: Sendable {
    private struct State {
        var made: [LaneHandle]
        var ofTarget: [ISCSIName: Int] = [:]
    }

    private let state: Mutex<State>
    let most: Int
    private let settings: LaneSettings
    private let logger: Logger
    private let onNotice: @Sendable (_ lane: Int, LaneNotice) -> Void

    /// As many threads as keep this machine's processors busy; more than a few have nothing to do.
    static var standardCount: Int { min(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1), 4) }

    /// - Parameter most: 1 or more.
    init(
        most: Int, settings: LaneSettings, logger: Logger,
        onNotice: @escaping @Sendable (_ lane: Int, LaneNotice) -> Void
    ) throws(SystemError) {
        self.most = most
        self.settings = settings
        self.logger = logger
        self.onNotice = onNotice
        let first = try Self.make(0, settings, onNotice)
        state = Mutex(State(made: [first]))
    }

    private static func make(
        _ number: Int, _ settings: LaneSettings, _ onNotice: @escaping @Sendable (Int, LaneNotice) -> Void
    ) throws(SystemError) -> LaneHandle {
        try LaneHandle(number: number, settings: settings) { onNotice(number, $0) }
    }

    /// The lane of a target. One that comes for the first time goes where the fewest targets with disks are,
    /// or to a lane of its own while there may be more.
    /// - Parameter living: the targets that have disks.
    func lane(of target: ISCSIName, living: Set<ISCSIName>) -> LaneHandle {
        state.withLock { state in
            if let known = state.ofTarget[target] { return state.made[known] }
            var loads = [Int](repeating: 0, count: state.made.count)
            for (other, number) in state.ofTarget where living.contains(other) { loads[number] += 1 }
            var choice = loads.indices.min { loads[$0] < loads[$1] } ?? 0
            if loads[choice] > 0 && state.made.count < most {
                do throws(SystemError) {
                    state.made.append(try Self.make(state.made.count, settings, onNotice))
                    choice = state.made.count - 1
                } catch {
                    logger.error("no lane more: \(error); \(target) shares one")
                }
            }
            state.ofTarget[target] = choice
            return state.made[choice]
        }
    }

    /// Of a target that has one.
    func lane(of target: ISCSIName) -> LaneHandle? {
        state.withLock { state in state.ofTarget[target].map { state.made[$0] } }
    }

    var all: [LaneHandle] { state.withLock { $0.made } }

    func performOnAll(_ work: @escaping LaneRunner.Work) {
        for lane in all { lane.perform(work) }
    }

    func stop() {
        for lane in all { lane.stop() }
    }
}

/// A disk among those of all lanes.
struct LaneDisk: Hashable, Sendable {
    var lane: Int
    var id: DiskID
}
