import Glibc
import Testing

/// A run of one of the package's executables: its exit status and what it printed.
struct CommandRun {
    let status: Int32
    let output: String
    let errors: String

    /// `environment` holds `NAME=value` lines; nothing is inherited.
    init(_ executable: String, _ arguments: [String], environment: [String] = []) throws {
        let started = try StartedCommand(executable, arguments, environment: environment)
        (status, output, errors) = started.finish()
    }

    /// Both executables are built beside the test bundle.
    static func path(of executable: String) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        try #require(count > 0)
        // The runner of `swift test` may be elsewhere; the bundle is then its argument.
        let places = [String(decoding: buffer[..<count], as: UTF8.self)] + CommandLine.arguments
        for place in places {
            guard let slash = place.lastIndex(of: "/") else { continue }
            let path = place[...slash] + executable
            if access(String(path), X_OK) == 0 { return String(path) }
        }
        throw NotBuilt(executable: executable)
    }

    struct NotBuilt: Error { let executable: String }
}

/// A process that was started and must be finished.
struct StartedCommand {
    let processID: pid_t
    private let output: Int32
    private let errors: Int32

    init(_ executable: String, _ arguments: [String], environment: [String] = []) throws {
        let path = try CommandRun.path(of: executable)
        var (outputEnds, errorEnds): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
        try #require(pipe(&outputEnds) == 0 && pipe(&errorEnds) == 0)
        // A child of another test must not hold these open.
        for end in outputEnds + errorEnds { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, outputEnds[1], 1)
        posix_spawn_file_actions_adddup2(&actions, errorEnds[1], 2)
        var argv: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        var child: pid_t = 0
        let code = posix_spawn(&child, path, &actions, nil, &argv, &envp)
        for pointer in argv + envp { free(pointer) }
        posix_spawn_file_actions_destroy(&actions)
        close(outputEnds[1])
        close(errorEnds[1])
        (processID, output, errors) = (child, outputEnds[0], errorEnds[0])
        try #require(code == 0)
    }

    /// Waits for the end.
    func finish() -> (status: Int32, output: String, errors: String) {
        let texts = (Self.readAll(output), Self.readAll(errors))
        var status: Int32 = 0
        while waitpid(processID, &status, 0) < 0 && errno == EINTR {}
        // A signal shows as 128 and its number, as in a shell.
        let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
        return (code, texts.0, texts.1)
    }

    private static func readAll(_ descriptor: Int32) -> String {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = read(descriptor, &buffer, buffer.count), count > 0 { all += buffer[..<count] }
        close(descriptor)
        return String(decoding: all, as: UTF8.self)
    }
}
