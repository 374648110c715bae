import CausewayControl
import Glibc
import LinuxSystem

/// Where the udev rules find what a device is: `udev/NAME` and `udev/NAME.links` in the state directory.
/// Written before the kernel device is connected, for its first event asks for them, and removed after it is
/// gone.
struct DeviceRecords: Sendable {
    let folder: String

    init(stateDirectory: String) {
        folder = stateDirectory + "/udev"
    }

    /// A device without links is better than none: who writes decides what to do about a failure.
    /// Returns whether anything is another than it was.
    @discardableResult
    func write(_ properties: DeviceProperties, for name: DiskName) throws(SystemError) -> Bool {
        let (file, links) = ("\(folder)/\(name)", "\(folder)/\(name).links")
        if let old = try? SmallFile.read(file), old == properties.properties,
            let old = try? SmallFile.read(links), old == properties.links
        {
            return false
        }
        guard unsafe mkdir(folder, 0o755) == 0 || errno == EEXIST else {
            throw SystemError(call: "mkdir", errno: Errno(rawValue: errno), subject: folder)
        }
        try replace(file, with: properties.properties)
        try replace(links, with: properties.links)
        return true
    }

    func remove(_ name: DiskName) {
        unsafe unlink("\(folder)/\(name)")
        unsafe unlink("\(folder)/\(name).links")
    }

    /// As a whole or not at all: udev may read it at any time.
    private func replace(_ path: String, with text: String) throws(SystemError) {
        let fresh = path + ".new"
        let descriptor = unsafe open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else {
            throw SystemError(call: "open", errno: Errno(rawValue: errno), subject: fresh)
        }
        let bytes = Array(text.utf8)
        let written = unsafe Glibc.write(descriptor, bytes, bytes.count)
        let code = errno
        close(descriptor)
        guard written == bytes.count else {
            throw SystemError(call: "write", errno: Errno(rawValue: code), subject: fresh)
        }
        guard unsafe rename(fresh, path) == 0 else {
            throw SystemError(call: "rename", errno: Errno(rawValue: errno), subject: path)
        }
    }
}
