import CausewayControl
import Glibc

/// The control socket's place in the file system: its lock, its mode and its group.
///
/// The lock file beside the socket is held as long as the endpoint lives. It says reliably whether another
/// daemon is there, so that a socket left by a dead one can be replaced without a race.
struct ControlEndpoint: ~Copyable, Sendable {
    static let groupName = "causeway"

    let socket: UnixSocket
    private let path: String
    private let lock: Int32

    init(path: String) throws(ControlServerError) {
        try Self.makeFolder(of: path)
        let lock = try Self.acquireLock(path)
        do throws(ControlServerError) {
            try Self.removeStaleSocket(path)
            socket = try Self.open(path)
        } catch {
            close(lock)
            throw error
        }
        self.path = path
        self.lock = lock
    }

    deinit {
        socket.close()
        // The lock's file stays: removing a lock's file is a race with the next one to take it.
        _ = unsafe unlink(path)
        close(lock)
    }

    /// Whoever connects from now on is refused at once, as if the daemon had gone.
    func refuseClients() {
        socket.shutdownReceiving()
    }

    private static func makeFolder(of path: String) throws(ControlServerError) {
        guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return }
        let folder = String(path[..<slash])
        guard unsafe mkdir(folder, 0o755) == 0 || errno == EEXIST else {
            throw .system(SystemCallError("mkdir", path: folder))
        }
    }

    private static func acquireLock(_ path: String) throws(ControlServerError) -> Int32 {
        let file = path + ".lock"
        let lock = unsafe Glibc.open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw .system(SystemCallError("open", path: file)) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let error = SystemCallError("flock", path: file)
            close(lock)
            throw error.code == EWOULDBLOCK ? .anotherDaemon(path: path) : .system(error)
        }
        return lock
    }

    private static func removeStaleSocket(_ path: String) throws(ControlServerError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw .system(SystemCallError("lstat", path: path))
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path: path) }
        guard unsafe unlink(path) == 0 else { throw .system(SystemCallError("unlink", path: path)) }
    }

    private static func open(_ path: String) throws(ControlServerError) -> UnixSocket {
        // Without the group nobody but root may connect: mode 0660 and the group root.
        let group: UInt32? = geteuid() == 0 ? groupID(named: groupName) ?? 0 : nil
        do throws(SystemCallError) {
            return try UnixSocket.listen(at: path, mode: 0o660, group: group)
        } catch {
            throw .system(error)
        }
    }

    private static func groupID(named name: String) -> UInt32? {
        var entry = unsafe Glibc.group()
        var found: UnsafeMutablePointer<Glibc.group>?
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        let result = unsafe getgrnam_r(name, &entry, &buffer, buffer.count, &found)
        return unsafe result == 0 && found != nil ? entry.gr_gid : nil
    }
}
