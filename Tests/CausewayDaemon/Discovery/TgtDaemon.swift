import Glibc
import LinuxSystem
import Synchronization
import Testing

/// A tgtd of the test's own, beside any other on the machine: own control port, own TCP port, in the
/// foreground.
final class TgtDaemon {
    static let daemon = "/usr/sbin/tgtd"
    static let administrator = "/usr/sbin/tgtadm"
    static let isAvailable = geteuid() == 0 && access(daemon, X_OK) == 0 && access(administrator, X_OK) == 0

    struct Failed: Error, CustomStringConvertible { var description: String }

    private static let count = Mutex<Int32>(0)

    let portal: SocketAddress
    private let processID: pid_t
    private let control: String
    private let folder: String

    init() throws {
        let listener = try TCPConnection.listen(on: SocketAddress(IPAddress(v4: 0x7f00_0001), port: 0))
        portal = try #require(TCPConnection.localAddress(of: listener.rawValue))
        _ = consume listener
        // The control port is a socket's name: one for each process and daemon.
        let number = Self.count.withLock { count in
            count += 1
            return count
        }
        control = "\(1000 + (getpid() % 3000) * 10 + number % 10)"
        var template = Array("/tmp/causeway-tgt-XXXXXX".utf8CString)
        folder = try #require(mkdtemp(&template).map { String(cString: $0) })
        processID = try Self.spawn(
            [Self.daemon, "-f", "-C", control, "--iscsi", "portal=\(portal)"])
        for _ in 0..<100 {
            if (try? administer(["--op", "show", "--mode", "sys"])) != nil { return }
            usleep(50_000)
        }
        stop()
        throw Failed(description: "tgtd did not come up")
    }

    /// A target with disks of so many bytes, as LUN 1, 2, …, for the initiators at an address, or all.
    func addTarget(_ id: Int, _ name: String, sizes: [Int] = [], initiators: String = "ALL") throws {
        let target = ["--mode", "target", "--tid", "\(id)"]
        try administer(["--op", "new"] + target + ["-T", name])
        for (index, size) in sizes.enumerated() {
            let file = "\(folder)/\(id)-\(index + 1)"
            let descriptor = open(file, O_CREAT | O_RDWR, 0o600)
            try #require(descriptor >= 0 && ftruncate(descriptor, size) == 0)
            close(descriptor)
            try administer([
                "--op", "new", "--mode", "logicalunit", "--tid", "\(id)", "--lun", "\(index + 1)", "-b", file,
            ])
        }
        try administer(["--op", "bind"] + target + ["-I", initiators])
    }

    func administer(_ arguments: [String]) throws {
        let child = try Self.spawn([Self.administrator, "-C", control, "--lld", "iscsi"] + arguments)
        let status = Self.wait(child)
        guard status == 0 else {
            throw Failed(description: "tgtadm \(arguments.joined(separator: " ")): status \(status)")
        }
    }

    func stop() {
        kill(processID, SIGKILL)
        _ = Self.wait(processID)
        for name in ["1-1", "1-2", "2-1"] { unlink("\(folder)/\(name)") }
        rmdir(folder)
        unlink("/var/run/tgtd/socket.\(control)")
        unlink("/var/run/tgtd/socket.\(control).lock")
    }

    private static func spawn(_ command: [String]) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        for descriptor in [Int32(0), 1, 2] {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
        }
        var argv: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nil]
        var child: pid_t = 0
        let code = posix_spawn(&child, command[0], &actions, nil, &argv, &envp)
        for pointer in argv + envp { free(pointer) }
        posix_spawn_file_actions_destroy(&actions)
        guard code == 0 else { throw Failed(description: "cannot start \(command[0]): \(code)") }
        return child
    }

    private static func wait(_ child: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        return status
    }
}
