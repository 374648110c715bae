import Glibc
import LinuxSystem

/// Small files of the state directory: whole or not there, whenever the daemon dies.
enum StateFile {
    /// Makes a folder that only root can look into, and what is above it one level deep.
    static func makeFolder(_ folder: String) throws(SystemError) {
        let parent = folder.lastIndex(of: "/").map { String(folder[..<$0]) } ?? ""
        for (path, mode) in [(parent, mode_t(0o755)), (folder, mode_t(0o700))] where !path.isEmpty {
            guard unsafe mkdir(path, mode) == 0 || errno == EEXIST else {
                throw SystemError(call: "mkdir", errno: Errno(rawValue: errno), subject: path)
            }
        }
    }

    /// Puts `content` in the place of what is there, in one step.
    static func replace(_ path: String, with content: [UInt8]) throws(SystemError) {
        let fresh = path + ".new"
        let descriptor = unsafe open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw SystemError(call: "open", errno: Errno(rawValue: errno), subject: fresh)
        }
        defer { close(descriptor) }
        guard unsafe write(descriptor, content, content.count) == content.count else {
            throw SystemError(call: "write", errno: Errno(rawValue: errno), subject: fresh)
        }
        guard unsafe rename(fresh, path) == 0 else {
            throw SystemError(call: "rename", errno: Errno(rawValue: errno), subject: path)
        }
    }

    /// Names in a folder, sorted, without those that a death in the middle of `replace` left.
    static func names(in folder: String) -> [String] {
        guard let stream = unsafe opendir(folder) else { return [] }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if !name.hasPrefix(".") && !name.hasSuffix(".new") { names.append(name) }
        }
        return names.sorted()
    }
}
