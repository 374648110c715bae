import Glibc

/// What was asked of the kernel's NBD driver.
public enum NBDOperation: UInt8, Equatable, Sendable, CaseIterable, CustomStringConvertible {
    case connect = 1
    case reconnect = 2
    case resize = 3
    case disconnect = 4
    case status = 5
    case tune = 6
    case detach = 7

    public var description: String {
        switch self {
        case .connect: "connect"
        case .reconnect: "reconnect"
        case .resize: "resize"
        case .disconnect: "disconnect"
        case .status: "status"
        case .tune: "tune"
        case .detach: "detach"
        }
    }
}

/// How a helper process ended without an answer.
public enum HelperEnd: Equatable, Sendable {
    case exited(status: Int32)
    case signalled(signal: Int32)
    /// It answered what cannot be understood: not the same program.
    case unintelligible
}

/// Why something about `/dev/nbdX` failed, and what to do about it.
public enum NBDDeviceError: Error, Equatable, Sendable {
    /// The kernel has no NBD driver and it could not be loaded. `detail` is what modprobe said.
    case moduleAbsent(detail: String)
    /// The driver is loaded, but this process does not see its netlink family.
    case familyHidden
    /// The kernel's answer over netlink; `errno` exactly as it came.
    case refused(NBDOperation, index: UInt32?, errno: Int32)
    /// A system call failed. `subject` is a path or what the call was for.
    case system(call: String, subject: String, errno: Int32)
    /// Refused before the kernel was asked: what is wrong with the request.
    case invalid(NBDOperation, reason: String)
    /// Somebody has claimed the device or a partition of it: `DeviceUser.find` says who.
    case inUse(index: UInt32)
    /// There is no such device.
    case noDevice(index: UInt32)
    /// A sysfs file holds something else than the kernel's documentation says.
    case unexpected(path: String, content: String)
    /// The kernel reported success without the index of the device.
    case replyWithoutIndex
    /// The process that makes the call ended without an answer.
    case helperFailed(HelperEnd)

    /// The errno behind it, if there is one.
    public var errno: Int32? {
        switch self {
        case .refused(_, _, let errno), .system(_, _, let errno): errno
        case .inUse: EBUSY
        default: nil
        }
    }
}

extension NBDDeviceError {
    /// What `moduleAbsent` says where a sandbox keeps the modules from this process.
    static let modulesHidden = "the modules of the kernel are hidden from this process"

    /// Whether the module that is not loaded is among those of the running kernel; nil where that is not
    /// known. kmod says `Module nbd not found in directory /lib/modules/6.1.0-1-amd64`, busybox
    /// `module nbd not found in modules.dep`.
    public var moduleIsInstalled: Bool? {
        guard case .moduleAbsent(let detail) = self, detail != Self.modulesHidden else { return nil }
        return !detail.contains("not found")
    }
}

extension NBDDeviceError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .moduleAbsent(let detail):
            "the kernel's NBD driver is not loaded\(detail.isEmpty ? "" : " (\(detail))"). "
                + (moduleIsInstalled == false ? "" : "Type: modprobe nbd. ")
                + (moduleIsInstalled == true ? "" : "Install the modules of the running kernel. ")
                + "Or export the disk on a Unix socket instead"
        case .familyHidden:
            "the NBD driver is loaded, but its netlink interface is not visible here. Before Linux 6.12 it "
                + "exists only in the initial network namespace: run causewayd there (no PrivateNetwork=, "
                + "no ip netns exec)"
        case .refused(let operation, let index, let errno):
            Self.words(operation, index, errno)
        case .system(let call, let subject, let errno):
            "\(call) failed for \(subject): \(errnoText(errno))" + Self.hint(errno)
        case .invalid(let operation, let reason):
            "cannot \(operation) a kernel NBD device: \(reason)"
        case .inUse(let index):
            "/dev/nbd\(index) is in use (mounted, swapped on, or held by another device): unmount it first, "
                + "or use --force, which loses what is not yet written"
        case .noDevice(let index):
            "there is no device nbd\(index)"
        case .unexpected(let path, let content):
            "\(path) holds \"\(content)\", which this version does not understand"
        case .replyWithoutIndex:
            "the kernel connected a device without saying which; see \"causeway list\" "
                + "and /sys/block/nbd*/backend"
        case .helperFailed(.exited(let status)):
            "the process that talks to the NBD driver ended with status \(status) and no answer"
        case .helperFailed(.signalled(let signal)):
            "the process that talks to the NBD driver was ended by signal \(signal)"
        case .helperFailed(.unintelligible):
            "the process that talks to the NBD driver gave an answer that makes no sense"
        }
    }

    private static func words(_ operation: NBDOperation, _ index: UInt32?, _ errno: Int32) -> String {
        let device = index.map { "nbd\($0)" } ?? "an NBD device"
        let start = "the kernel refuses to \(operation) \(device): "
        let log = " (the kernel's reason is in dmesg)"
        switch (errno, operation) {
        case (EPERM, _), (EACCES, _):
            return start + "no permission. Run as root: CAP_SYS_ADMIN in the initial user namespace is needed"
        case (EBUSY, .connect):
            return start + "busy. Somebody has it configured or open (fuser -v /dev/nbd\(index ?? 0)); "
                + "choose another index or none"
        case (EINVAL, .connect):
            return start
                + "invalid argument. Likely: the index is still going down after a disconnect, is too high, "
                + "or a socket is neither TCP nor a Unix stream socket" + log
        case (EINVAL, .reconnect), (EINVAL, .resize):
            return start
                + "invalid argument. Likely: it is disconnected but still open somewhere, does not exist, "
                + "or belongs to another backend identifier" + log
        case (EINVAL, .disconnect), (EINVAL, .detach):
            return start + "there is no such device"
        case (ENOMEM, _):
            return start + "the kernel is out of memory"
        case (ENODEV, _):
            return start + "the driver is being unloaded. Type: modprobe nbd"
        case (EEXIST, _):
            return start + "another device with this index is just being made; try again"
        default:
            return start + errnoText(errno) + log
        }
    }

    private static func hint(_ errno: Int32) -> String {
        errno == EPERM || errno == EACCES ? ". Run as root" : ""
    }
}

/// "Device or resource busy (16)".
func errnoText(_ number: Int32) -> String {
    unsafe strerror(number).map { unsafe String(cString: $0) + " (\(number))" } ?? "error \(number)"
}
