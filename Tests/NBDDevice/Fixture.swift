import Glibc

@testable import NBDDevice

/// A folder that looks like /sys, /proc and /dev, removed at the end.
final class Fixture {
    let root: String
    var system: SystemRoot {
        SystemRoot(sysfs: root + "/sys", proc: root + "/proc", devices: root + "/dev")
    }

    init() {
        var template = Array("/tmp/nbd-device-XXXXXX".utf8CString)
        _ = mkdtemp(&template)
        root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { remove(root) }

    private func remove(_ path: String) {
        for name in SystemFile.names(in: path) { remove(path + "/" + name) }
        if rmdir(path) != 0 { unlink(path) }
    }

    func file(_ path: String, _ content: String) {
        folder(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
        let descriptor = open(root + "/" + path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        _ = content.withCString { write(descriptor, $0, strlen($0)) }
        close(descriptor)
    }

    func folder(_ path: String) {
        var built = root
        for part in path.split(separator: "/") {
            built += "/" + part
            mkdir(built, 0o755)
        }
    }

    func link(_ path: String, to target: String) {
        folder(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
        symlink(target, root + "/" + path)
    }

    func content(_ path: String) -> String? { (try? SystemFile.read(root + "/" + path)) ?? nil }

    /// A connected device as Linux 6.1 shows it.
    func device(_ index: Int, backend: String = "causeway:lun") {
        let folder = "sys/block/nbd\(index)"
        file("\(folder)/dev", "43:\(index * 32)\n")
        file("\(folder)/size", "2048\n")
        file("\(folder)/ro", "0\n")
        file("\(folder)/inflight", "       3        4\n")
        file("\(folder)/pid", "4711\n")
        file("\(folder)/backend", backend + "\n")
        file("\(folder)/uevent", "")
        file("\(folder)/queue/logical_block_size", "4096\n")
        file("\(folder)/queue/io_timeout", "30000\n")
        file("\(folder)/queue/max_sectors_kb", "128\n")
        file("\(folder)/queue/max_hw_sectors_kb", "32768\n")
        file("\(folder)/queue/read_ahead_kb", "128\n")
        file("\(folder)/queue/rotational", "0\n")
        file("\(folder)/queue/scheduler", "[none] mq-deadline kyber bfq \n")
        self.folder("\(folder)/holders")
    }
}
