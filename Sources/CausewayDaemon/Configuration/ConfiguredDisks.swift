import CausewayConfiguration
import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import Synchronization

/// Disks that are configured and not attached yet: a few threads attach them, and try again until each is.
///
/// A target or an interface that is not there yet is an ordinary thing when a machine starts, so no attempt
/// is the last one; what went wrong is logged once for each reason.
final class ConfiguredDisks: Sendable {
    /// Attaches at the same time: each may wait for a portal that does not answer.
    private static let threadsMax = 8
    private static let firstDelayMilliseconds: UInt64 = 1000
    private static let longestDelayMilliseconds: UInt64 = 15_000
    private static let tickMilliseconds = 100

    private struct Waiting {
        var disk: DiskConfiguration
        var due: Instant
        var delay = ConfiguredDisks.firstDelayMilliseconds
        var isTried = false
        var problem: String?
    }

    typealias Attach = @Sendable (DiskConfiguration) throws(ControlError) -> Void

    private struct State {
        var disks: [String: Waiting] = [:]
        var isStopping = false
        /// How to attach; nil until the daemon has started.
        var attach: Attach?
        var threads = 0
    }

    private let state: Mutex<State>
    private let logger: Logger

    init(_ disks: [DiskConfiguration], logger: Logger) {
        self.logger = logger
        state = Mutex(State())
        add(disks)
    }

    func start(_ attach: @escaping Attach) {
        state.withLock { $0.attach = attach }
        startThreads()
    }

    /// Has more disks attached, or the same ones in another way: each is tried at once.
    func add(_ disks: [DiskConfiguration]) {
        state.withLock { state in
            for disk in disks {
                var waiting = Waiting(disk: disk, due: Instant(nanoseconds: 0))
                // One that is tried just now is tried again when that has ended.
                waiting.isTried = state.disks[disk.name.text]?.isTried ?? false
                state.disks[disk.name.text] = waiting
            }
        }
        startThreads()
    }

    /// The disks that wait.
    var names: Set<String> { state.withLock { Set($0.disks.keys) } }

    /// What they are to be attached as.
    var configurations: [DiskConfiguration] { state.withLock { $0.disks.values.map(\.disk) } }

    private func startThreads() {
        let (missing, attach) = state.withLock { state -> (Int, Attach?) in
            guard let attach = state.attach, !state.isStopping else { return (0, nil) }
            let missing = max(0, min(state.disks.count, Self.threadsMax) - state.threads)
            state.threads += missing
            return (missing, attach)
        }
        guard let attach else { return }
        for _ in 0..<missing {
            do throws(SystemError) {
                let thread = try startThread(name: "causeway disks") { [self] in run(attach) }
                _ = consume thread
            } catch {
                state.withLock { $0.threads -= 1 }
                logger.error("configured disks wait for ever: \(error)")
            }
        }
    }

    func stop() {
        state.withLock { $0.isStopping = true }
    }

    /// Leaves a disk alone. Returns whether it waited.
    @discardableResult
    func drop(_ name: DiskName) -> Bool {
        state.withLock { $0.disks.removeValue(forKey: name.text) != nil }
    }

    /// The names of those that wait.
    var waiting: [String] { state.withLock { Array($0.disks.keys) } }

    /// Tries those at once that wait, and may be reached through this interface.
    func hurry(for interface: String) {
        state.withLock { state in
            for (name, waiting) in state.disks
            where waiting.disk.interfaces.isEmpty || waiting.disk.interfaces.contains(interface) {
                state.disks[name]?.due = Instant(nanoseconds: 0)
                state.disks[name]?.delay = Self.firstDelayMilliseconds
            }
        }
    }

    /// What to say of a disk that waits; nil if it does not.
    func explanation(of name: DiskName) -> ControlError? {
        guard let waiting = state.withLock({ $0.disks[name.text] }) else { return nil }
        let problem = waiting.problem.map { ": \($0)" } ?? ""
        return ControlError(
            kind: .noSuchDisk, message: "\(name) is configured and not attached yet\(problem)",
            remedy: "it is tried again; causeway detach \(name) gives it up until the next start")
    }

    private func run(_ attach: Attach) {
        while true {
            let disk: DiskConfiguration
            switch next() {
            case .over: return
            case .noneDue:
                Pause.milliseconds(Self.tickMilliseconds)
                continue
            case .due(let found): disk = found
            }
            do throws(ControlError) {
                try attach(disk)
                drop(disk.name)
            } catch {
                if error.kind == .alreadyAttached {
                    drop(disk.name)
                } else {
                    later(disk.name, error)
                }
            }
        }
    }

    private enum Next {
        case over
        case noneDue
        case due(DiskConfiguration)
    }

    private func next() -> Next {
        let now = LinuxSystem.MonotonicClock.now()
        return state.withLock { state in
            guard !state.disks.isEmpty, !state.isStopping else {
                state.threads -= 1
                return .over
            }
            let due = state.disks.filter { !$0.value.isTried && $0.value.due <= now }
            guard let first = due.min(by: { ($0.value.due, $0.key) < ($1.value.due, $1.key) }) else {
                return .noneDue
            }
            state.disks[first.key]?.isTried = true
            return .due(first.value.disk)
        }
    }

    private func later(_ name: DiskName, _ error: ControlError) {
        let now = LinuxSystem.MonotonicClock.now()
        let isNews = state.withLock { state in
            guard var waiting = state.disks[name.text] else { return false }
            let isNews = waiting.problem != error.message
            waiting.problem = error.message
            waiting.isTried = false
            waiting.due = now.adding(milliseconds: waiting.delay)
            waiting.delay = min(waiting.delay * 2, Self.longestDelayMilliseconds)
            state.disks[name.text] = waiting
            return isNews
        }
        if isNews {
            logger.warning(
                "\(name): not attached yet: \(error.message.escapedForTerminal); it is tried again")
        }
    }
}
