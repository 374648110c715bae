import Glibc

/// A device held so that nobody can mount it, swap on it or build another device on it, while it is flushed
/// and disconnected.
///
/// Opening, flushing and closing read and write the device, so they wait for whoever serves it: use it in a
/// helper process (`NBDCall.detach`) or in a thread that no lane needs, and never while the device's sockets
/// are dead.
public struct ExclusiveClaim: ~Copyable {
    public let device: KernelDevice
    private let descriptor: Int32

    /// Fails with `inUse` when the disk or one of its partitions is claimed by a mount (of any mount
    /// namespace), swap, device-mapper or md. Programs that merely have it open are not seen by this, only by
    /// `DeviceUser.find`.
    public init(on device: KernelDevice) throws(NBDDeviceError) {
        let descriptor = unsafe open(device.node, O_RDONLY | O_EXCL | O_CLOEXEC)
        guard descriptor >= 0 else {
            switch errno {
            case EBUSY: throw .inUse(index: device.index)
            case ENOENT, ENXIO, ENODEV: throw .noDevice(index: device.index)
            default: throw .system(call: "open", subject: device.node, errno: errno)
            }
        }
        self.device = device
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Writes what the page cache holds and flushes the device.
    public func flush() throws(NBDDeviceError) {
        guard fsync(descriptor) == 0 else { throw .system(call: "fsync", subject: device.node, errno: errno) }
    }

    /// Lets go; with `destroyOnDisconnect` a disconnected device goes away now.
    public consuming func release() {}
}
