import CNetlink
import Glibc

/// The kernel module `nbd`.
public enum NBDModule {
    public static func isLoaded(in system: SystemRoot = .live) -> Bool {
        SystemFile.exists(system.sysfs + "/module/nbd")
    }

    /// Runs `modprobe nbd`. Options come from `/etc/modprobe.d`, where an administrator looks for them:
    /// `nbds_max` is left alone, because people who type `qemu-nbd -c /dev/nbd0` count on the devices that it
    /// makes.
    public static func load(in system: SystemRoot = .live) throws(NBDDeviceError) {
        // Where the kernel itself would look; empty where it must load nothing by itself.
        let configured = (try? SystemFile.read("\(system.proc)/sys/kernel/modprobe")) ?? nil
        let places = (configured.map { [$0] } ?? []) + ["/sbin/modprobe", "/usr/sbin/modprobe"]
        guard let program = places.first(where: { path in unsafe access(path, X_OK) == 0 }) else {
            throw .moduleAbsent(detail: "there is no /sbin/modprobe")
        }
        var pair = [Int32](repeating: -1, count: 2)
        guard unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0
        else {
            throw .system(call: "socketpair", subject: "modprobe", errno: errno)
        }
        defer { close(pair[0]) }
        let pid = try spawn(program, complainingTo: pair[1])
        let words = firstLine(from: pair[0])
        let status = ChildProcess.reap(pid)
        if status != .exited(status: 0) {
            // Whatever modprobe has looked for, it was not there that it could find it.
            if areHidden() { throw .moduleAbsent(detail: NBDDeviceError.modulesHidden) }
            throw .moduleAbsent(detail: words.isEmpty ? "modprobe nbd failed" : words)
        }
    }

    /// systemd's ProtectKernelModules= puts a folder in their place that nobody may enter.
    static func areHidden(in folder: String = "/lib/modules") -> Bool {
        var information = stat()
        return unsafe stat(folder, &information) == 0 && information.st_mode & 0o777 == 0
    }

    private static func spawn(_ program: String, complainingTo end: Int32) throws(NBDDeviceError) -> Int32 {
        // Closed here, so that the other end sees modprobe's end.
        defer { close(end) }
        return try ChildProcess.spawn(
            program, arguments: ["modprobe", "nbd"], descriptors: [], standardError: end)
    }

    /// What modprobe complains about, up to its end.
    private static func firstLine(from descriptor: Int32) -> String {
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 512)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes {
                unsafe read(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            if text.count < 512 { text += chunk.prefix(count) }
        }
        return String(decoding: text.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}
