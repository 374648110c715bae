import CausewayCore
import Glibc
import LinuxSystem
import Logging
import Synchronization

/// The daemon's lanes. Every target belongs to one, with its sessions and all of its disks, and stays there;
/// targets are spread over the lanes. A lane is made when a target needs it: a daemon with one target has
/// one.
///
/// A target with disks of several queues has as many lanes: the disks share the first lane for their first
/// queues, the second one for their second, and so on, so that there are as many sessions a path as the disk
/// with the most queues has, whatever the number of disks.
final class Lanes: Sendable {
    private struct State {
        var made: [LaneHandle]
        /// Queue by queue.
        var ofTarget: [ISCSIName: [Int]] = [:]
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

    /// The lanes of a target's queues, a different one for each, or nil where there may not be so many. One
    /// that is needed for the first time is the one that the fewest queues of targets with disks are on, or a
    /// new one while there may be more.
    /// - Parameters:
    ///   - living: the targets that have disks.
    ///   - mayExceed: a disk of a predecessor has its queues, whatever is configured now.
    func lanes(
        of target: ISCSIName, queues: Int, living: Set<ISCSIName>, mayExceed: Bool = false
    ) -> [LaneHandle]? {
        state.withLock { state in
            var own = state.ofTarget[target] ?? []
            while own.count < queues {
                guard let next = choose(&state, besides: own, living, mayExceed: mayExceed) else {
                    return nil
                }
                own.append(next)
            }
            state.ofTarget[target] = own
            return own.prefix(queues).map { state.made[$0] }
        }
    }

    private func choose(
        _ state: inout State, besides own: [Int], _ living: Set<ISCSIName>, mayExceed: Bool
    ) -> Int? {
        var loads = [Int](repeating: 0, count: state.made.count)
        for (target, numbers) in state.ofTarget where living.contains(target) {
            for number in numbers { loads[number] += 1 }
        }
        let choice = loads.indices.filter { !own.contains($0) }.min { loads[$0] < loads[$1] }
        if let choice, loads[choice] == 0 { return choice }
        guard state.made.count < most || choice == nil && mayExceed else { return choice }
        do throws(SystemError) {
            state.made.append(try Self.make(state.made.count, settings, onNotice))
            return state.made.count - 1
        } catch {
            let outcome = choice == nil ? "" : "; targets share one"
            logger.error("no lane more: \(error)\(outcome)")
            return choice
        }
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
