import CLinux
import Glibc

/// Files of a few bytes, as /proc, /sys and /etc have them. Not for a lane: they may wait.
public enum SmallFile {
    /// The whole content; EFBIG if it has more than `limit` bytes.
    public static func read(_ path: String, limit: Int = 65_536) throws(SystemError) -> String {
        let file = OwnedDescriptor(adopting: try check(unsafe linux_open(path, O_RDONLY), "open", path))
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count <= limit {
            let n = unsafe bytes.withUnsafeMutableBytes { buffer -> Int in
                guard let start = buffer.baseAddress else { return 0 }
                return unsafe Glibc.read(file.rawValue, start + count, buffer.count - count)
            }
            if n < 0 {
                let error = Errno(rawValue: Glibc.errno)
                if error == .interrupted { continue }
                throw SystemError(call: "read", errno: error, subject: path)
            }
            if n == 0 { return String(decoding: bytes[..<count], as: UTF8.self) }
            count += n
        }
        throw SystemError(call: "read", errno: Errno(rawValue: EFBIG), subject: path)
    }

    /// Puts a file with this content in place of whatever has the name, readable for all: the whole of it,
    /// also after a crash, or nothing.
    public static func replace(_ path: String, with text: String) throws(SystemError) {
        let temporary = "\(path).\(getpid())~"
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw failure("open", temporary) }
        let file = OwnedDescriptor(adopting: descriptor)
        do throws(SystemError) {
            var text = text
            let count = text.withUTF8 { unsafe Glibc.write(file.rawValue, $0.baseAddress, $0.count) }
            guard count == text.utf8.count else {
                throw SystemError(
                    call: "write", errno: Errno(rawValue: count < 0 ? Glibc.errno : EIO), subject: temporary)
            }
            try require(fchmod(file.rawValue, 0o644), "fchmod", temporary)
            try require(fsync(file.rawValue), "fsync", temporary)
            try require(unsafe rename(temporary, path), "rename", path)
        } catch {
            _ = unsafe unlink(temporary)
            throw error
        }
        syncFolder(of: path)
    }

    /// Makes a file that is not there yet, and only for those that `mode` names from its first byte on: the
    /// whole of it or nothing. EEXIST if something has the name.
    public static func create(_ path: String, with text: String, mode: UInt32) throws(SystemError) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let descriptor = unsafe open(path, flags, mode)
        guard descriptor >= 0 else { throw failure("open", path) }
        let file = OwnedDescriptor(adopting: descriptor)
        do throws(SystemError) {
            var text = text
            let count = text.withUTF8 { unsafe Glibc.write(file.rawValue, $0.baseAddress, $0.count) }
            guard count == text.utf8.count else {
                throw SystemError(
                    call: "write", errno: Errno(rawValue: count < 0 ? Glibc.errno : EIO), subject: path)
            }
            try require(fchmod(file.rawValue, mode), "fchmod", path)
            try require(fsync(file.rawValue), "fsync", path)
        } catch {
            _ = unsafe unlink(path)
            throw error
        }
        syncFolder(of: path)
    }

    /// Whether something has the name, be it a link that leads nowhere.
    public static func exists(_ path: String) -> Bool {
        var status = stat()
        return unsafe lstat(path, &status) == 0
    }

    /// Whether there was one.
    public static func remove(_ path: String) throws(SystemError) -> Bool {
        if unsafe unlink(path) == 0 {
            syncFolder(of: path)
            return true
        }
        guard errno == ENOENT else { throw failure("unlink", path) }
        return false
    }

    /// Makes a folder and those above it that are not there, open to all for reading unless `mode` says
    /// otherwise of the folder itself.
    public static func makeFolder(_ path: String, mode: UInt32 = 0o755) throws(SystemError) {
        guard unsafe mkdir(path, mode) != 0, errno != EEXIST else { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw failure("mkdir", path)
        }
        try makeFolder(String(path[..<slash]))
        guard unsafe mkdir(path, mode) == 0 || errno == EEXIST else { throw failure("mkdir", path) }
    }

    /// The names in a folder, without . and .., in no order.
    public static func list(_ path: String) throws(SystemError) -> [String] {
        guard let folder = unsafe opendir(path) else { throw failure("opendir", path) }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// So that a name that was made or removed stays so after a crash; no one can do more if it fails.
    private static func syncFolder(of path: String) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = fsync(descriptor)
        close(descriptor)
    }

    private static func require(_ result: Int32, _ call: String, _ path: String) throws(SystemError) {
        guard result == 0 else { throw failure(call, path) }
    }

    private static func failure(_ call: String, _ path: String) -> SystemError {
        SystemError(call: call, errno: Errno(rawValue: Glibc.errno), subject: path)
    }

    /// Writes to a file that exists, in one call, as /proc and /sys want it.
    public static func write(_ text: String, to path: String) throws(SystemError) {
        let file = OwnedDescriptor(
            adopting: try check(unsafe linux_open(path, O_WRONLY | O_TRUNC), "open", path))
        var text = text
        let count = text.withUTF8 { unsafe Glibc.write(file.rawValue, $0.baseAddress, $0.count) }
        guard count == text.utf8.count else {
            throw SystemError(
                call: "write", errno: Errno(rawValue: count < 0 ? Glibc.errno : EIO), subject: path)
        }
    }
}
