import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import Synchronization

/// What the service manager hears of the daemon while it runs: that it lives, and how its disks are.
extension Supervisor {
    private static let longestIntervalMilliseconds = 5000
    /// Shorter than the shortest watchdog that is any use: a busy lane is not a dead one.
    private static let laneMilliseconds = 2000

    /// Speaks of the disks, and of the lanes that serve them: while one of these does not answer there is no
    /// sign of life, and the manager ends the process. The next one takes its disks over.
    func showLife() {
        guard let manager = ServiceNotification() else { return }
        let limit = ServiceNotification.watchdogMicroseconds().map { Int(clamping: $0 / 4000) }
        let interval = max(min(limit ?? Int.max, Self.longestIntervalMilliseconds), 100)
        do throws(SystemError) {
            let thread = try startThread(name: "causeway life") { [weak self] in
                var told = ""
                while let self {
                    let isAlive = lanes.all.allSatisfy {
                        $0.ask(milliseconds: Self.laneMilliseconds) { _ in true } ?? false
                    }
                    if isAlive && limit != nil { try? manager.watchdog() }
                    let status = isAlive ? statusLine() : "the data path does not answer"
                    if status != told { try? manager.status(status) }
                    told = status
                    Pause.milliseconds(interval)
                }
            }
            _ = consume thread
        } catch {
            logger.error("the service manager hears nothing of this daemon: \(error)")
        }
    }

    /// `2 disks: data 2/2 paths, mail 1/2 paths; 1 waits: archive`
    func statusLine() -> String {
        let disks = state.withLock { Array($0.disks.values) }.sorted { $0.name.text < $1.name.text }
        let shown = disks.prefix(StatusLine.disksMax).map { disk in
            StatusLine.Disk(name: disk.name.text, paths: pathCounts(of: disk))
        }
        let names = Set(disks.map(\.name.text))
        // A disk that has just been attached stays on that list for another moment.
        let waiting = configuredDisks.waiting.filter { !names.contains($0) }
        return StatusLine(
            disks: shown, diskCount: disks.count, waiting: waiting,
            mistake: configured.withLock { $0.mistakes.first }
        ).text
    }

    /// nil while it is being attached or detached.
    private func pathCounts(of disk: AttachedDisk) -> (active: Int, total: Int)? {
        let waiting = disk.state.withLock { $0.wanted.waiting.count }
        guard let snapshot = disk.snapshot(), snapshot.isReady else { return nil }
        let active = snapshot.paths.count { $0.standing == .active || $0.standing == .standby }
        return (active, snapshot.paths.count + waiting)
    }
}

/// The line that `systemctl status` shows.
struct StatusLine {
    /// More would not fit a terminal.
    static let disksMax = 8

    struct Disk {
        var name: String
        /// nil where it is not known.
        var paths: (active: Int, total: Int)?
    }

    /// The first of them.
    var disks: [Disk]
    var diskCount: Int
    /// Configured disks that are not attached yet.
    var waiting: [String]
    /// In `causeway.toml`.
    var mistake: String?

    var text: String {
        disksText + (mistake.map { "; \($0)" } ?? "")
    }

    private var disksText: String {
        let count = diskCount == 0 ? "no disks" : diskCount == 1 ? "1 disk" : "\(diskCount) disks"
        var shown = disks.map { disk in
            disk.paths.map { "\(disk.name) \($0.active)/\($0.total) paths" } ?? "\(disk.name) not ready"
        }
        if diskCount > disks.count { shown.append("and \(diskCount - disks.count) more") }
        let list = shown.isEmpty ? "" : ": " + shown.joined(separator: ", ")
        guard !waiting.isEmpty else { return count + list }
        let names = waiting.sorted()
        let more = names.count > Self.disksMax ? ", and \(names.count - Self.disksMax) more" : ""
        return "\(count)\(list); waiting for \(names.prefix(Self.disksMax).joined(separator: ", "))\(more)"
    }
}
