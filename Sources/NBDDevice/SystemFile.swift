import CNetlink
import Glibc

/// Where the kernel's file systems are. Tests put a folder of fixtures here.
public struct SystemRoot: Equatable, Sendable {
    public var sysfs: String
    public var proc: String
    public var devices: String

    public init(sysfs: String = "/sys", proc: String = "/proc", devices: String = "/dev") {
        self.sysfs = sysfs
        self.proc = proc
        self.devices = devices
    }

    public static let live = SystemRoot()
}

/// A block device's number.
public struct DeviceNumber: Hashable, Sendable, CustomStringConvertible {
    public var major: UInt32
    public var minor: UInt32

    public init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }

    /// From "43:0".
    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let major = UInt32(parts[0]), let minor = UInt32(parts[1]) else { return nil }
        self.init(major: major, minor: minor)
    }

    /// The device that the node at `path` stands for; nil when it is no block device.
    init?(nodeAt path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFBLK else { return nil }
        self.init(major: causeway_major(status.st_rdev), minor: causeway_minor(status.st_rdev))
    }

    public var description: String { "\(major):\(minor)" }
}

/// Whole small files of sysfs and procfs.
enum SystemFile {
    /// The content without its last line feed; nil when there is no such file, or it went away meanwhile.
    static func read(_ path: String, byteCountMax: Int = 4096) throws(NBDDeviceError) -> String? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR || errno == ENXIO { return nil }
            throw .system(call: "open", subject: path, errno: errno)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(byteCountMax, 65536))
        while bytes.count < byteCountMax {
            let count = unsafe chunk.withUnsafeMutableBytes {
                unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 {
                if errno == EINTR { continue }
                // A process or a device that ended between open and read.
                if errno == ESRCH || errno == ENODEV { return nil }
                throw .system(call: "read", subject: path, errno: errno)
            }
            if count == 0 { break }
            bytes += chunk.prefix(count)
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func write(_ text: String, to path: String) throws(NBDDeviceError) {
        let descriptor = unsafe open(path, O_WRONLY | O_TRUNC | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(call: "open", subject: path, errno: errno) }
        defer { close(descriptor) }
        var text = text
        let count = text.withUTF8 { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw .system(call: "write of \"\(text)\"", subject: path, errno: errno) }
    }

    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// Names in a folder without "." and "..", sorted; empty when there is no such folder.
    static func names(in path: String) -> [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Where a symbolic link points; nil when it is none or not ours to read.
    static func target(ofLink path: String) -> String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe readlink(path, &bytes, bytes.count)
        guard count >= 0 else { return nil }
        return String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Milliseconds of the monotonic clock.
func monotonicMilliseconds() -> Int {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

func sleepMilliseconds(_ milliseconds: Int) {
    _ = poll(nil, 0, Int32(clamping: milliseconds))
}
