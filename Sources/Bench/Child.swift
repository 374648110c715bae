import Foundation
import Glibc

/// A program that this run started. It is in a process group of its own (the terminal's Ctrl-C reaches only
/// this program, which then ends its children in order), and the kernel kills it should this program die.
final class Child {
    let name: String
    let pid: pid_t
    private let log: String
    private var status: Int32?

    /// Starts `program` (a name looked for in `Tools`, or a path) with its output in the file `log`.
    init(_ program: String, _ arguments: [String], log: String, environment: [String: String] = [:])
        throws(BenchError)
    {
        name = String(program.split(separator: "/").last ?? "")
        self.log = log
        let path = program.contains("/") ? program : try Tools.path(of: program)
        let command =
            Tools.find("setpriv").map { [$0, "--pdeathsig", "KILL", "--", path] } ?? [path]
        pid = try Child.spawn(command + arguments, log: log, environment: environment)
    }

    private static func spawn(_ command: [String], log: String, environment: [String: String])
        throws(BenchError) -> pid_t
    {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var unblocked = sigset_t()
        sigemptyset(&unblocked)
        posix_spawnattr_setsigmask(&attributes, &unblocked)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))

        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&files, 1, 2)

        let merged = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        var argv: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = merged.map { strdup("\($0)=\($1)") } + [nil]
        defer { for string in argv + envp { free(string) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, command[0], &files, &attributes, &argv, &envp)
        guard error == 0 else { throw .cannotStart(command[0], errno: error) }
        return pid
    }

    /// The exit status once it ended (128 + N for a signal N), nil while it runs.
    func exitStatus() -> Int32? {
        if status == nil {
            var raw: Int32 = 0
            if waitpid(pid, &raw, WNOHANG) == pid {
                status = raw & 0x7f == 0 ? raw >> 8 & 0xff : 128 + raw & 0x7f
            }
        }
        return status
    }

    /// The last lines of what it printed.
    func logTail(lines: Int = 3) -> String {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(lines).joined(separator: " | ")
    }

    /// Waits for it to end well; past `seconds` it is killed.
    func finish(seconds: Double) throws(BenchError) {
        let deadline = monotonicSeconds() + seconds
        while true {
            if let status = exitStatus() {
                guard status == 0 else { throw .exited(name, status: status, log: logTail()) }
                return
            }
            let left = deadline - monotonicSeconds()
            guard left > 0 else {
                end(grace: 0)
                throw .timedOut(name, seconds: seconds)
            }
            try Signals.wait(seconds: min(left, 0.5))
        }
    }

    /// Waits until `condition` holds, as long as it runs.
    func wait(for what: String, seconds: Double, until condition: () throws(BenchError) -> Bool)
        throws(BenchError)
    {
        let deadline = monotonicSeconds() + seconds
        while try !condition() {
            if let status = exitStatus() { throw .exited(name, status: status, log: logTail()) }
            guard monotonicSeconds() < deadline else {
                throw .timedOut("\(name), \(what)", seconds: seconds)
            }
            try Signals.wait(seconds: 0.02)
        }
    }

    /// Ends it: SIGTERM first, SIGKILL after `grace` seconds. Does nothing when it has ended already.
    func end(grace: Double = 3) {
        guard exitStatus() == nil else { return }
        kill(pid, SIGTERM)
        let deadline = monotonicSeconds() + grace
        while exitStatus() == nil, monotonicSeconds() < deadline { Signals.pause(seconds: 0.02) }
        guard exitStatus() == nil else { return }
        kill(pid, SIGKILL)
        while exitStatus() == nil { Signals.pause(seconds: 0.02) }
    }

    /// CPU time of the whole process so far, in nanoseconds, user and system, of its ended threads too: the
    /// scheduler's own sum, which unlike utime and stime of /proc/PID/stat is not rounded to ticks.
    func cpuNanoseconds() throws(BenchError) -> UInt64 {
        var clock = clockid_t()
        let error = clock_getcpuclockid(pid, &clock)
        guard error == 0 else { throw .system("CPU clock of \(name)", errno: error) }
        var time = timespec()
        guard clock_gettime(clock, &time) == 0 else {
            throw .system("CPU clock of \(name)", errno: errno)
        }
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Runs a short command to its end and returns what it printed.
    @discardableResult
    static func run(
        _ program: String, _ arguments: [String], in folder: TemporaryFolder,
        environment: [String: String] = [:], seconds: Double = 30
    ) throws(BenchError) -> String {
        let log = folder.unusedPath("command.log")
        let child = try Child(program, arguments, log: log, environment: environment)
        defer {
            child.end()
            unlink(log)
        }
        try child.finish(seconds: seconds)
        return (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
    }
}
