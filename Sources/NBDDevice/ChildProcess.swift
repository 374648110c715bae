import CNetlink
import Glibc

/// Programs started with nothing inherited but what is named.
enum ChildProcess {
    /// Starts `executable` with `/dev/null` as standard input and output and `descriptors` as 3, 4, ….
    ///
    /// posix_spawn, not fork: nothing of a process that has locked all its memory is copied. Every other
    /// descriptor is closed before the program file is opened, so that even an exec that hangs on its disk
    /// holds none. Signals are unblocked and at their defaults, and the process group is its own: a Ctrl-C
    /// meant for the daemon must not end a call half-way.
    static func spawn(
        _ executable: String, arguments: [String], descriptors: [Int32], standardError: Int32? = nil
    ) throws(NBDDeviceError) -> Int32 {
        // Copies above the numbers that the child will use, so that no dup2 there overwrites a source of the
        // next.
        let firstFree = Int32(3 + descriptors.count)
        var copies: [Int32] = []
        defer { for copy in copies { close(copy) } }
        for descriptor in descriptors + (standardError.map { [$0] } ?? []) {
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, firstFree)
            guard copy >= 0 else { throw .system(call: "dup", subject: executable, errno: errno) }
            copies.append(copy)
        }

        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        if standardError != nil, let copy = copies.last {
            unsafe posix_spawn_file_actions_adddup2(&actions, copy, 2)
        }
        for (position, copy) in copies.prefix(descriptors.count).enumerated() {
            unsafe posix_spawn_file_actions_adddup2(&actions, copy, Int32(3 + position))
        }
        unsafe posix_spawn_file_actions_addclosefrom_np(&actions, firstFree)

        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        var all = sigset_t()
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        unsafe posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

        var words: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
        defer { for position in unsafe words.indices { unsafe free(words[position]) } }
        unsafe words.append(nil)
        var pid: Int32 = 0
        let failure = unsafe posix_spawn(
            &pid, executable, &actions, &attributes, words, causeway_environment())
        guard failure == 0 else { throw .system(call: "posix_spawn", subject: executable, errno: failure) }
        return pid
    }

    /// How `pid` ended; nil while it runs. A child that somebody else has reaped counts as ended well.
    static func poll(_ pid: Int32) -> HelperEnd? { wait(pid, WNOHANG) }

    /// Waits for the end of `pid`.
    static func reap(_ pid: Int32) -> HelperEnd { wait(pid, 0) ?? .exited(status: 0) }

    private static func wait(_ pid: Int32, _ options: Int32) -> HelperEnd? {
        var status: Int32 = 0
        while true {
            switch unsafe waitpid(pid, &status, options) {
            case 0: return nil
            case pid:
                let signal = status & 0x7f
                return signal == 0 ? .exited(status: status >> 8 & 0xff) : .signalled(signal: signal)
            default:
                if errno != EINTR { return .exited(status: 0) }
            }
        }
    }
}
