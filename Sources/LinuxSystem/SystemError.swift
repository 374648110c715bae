/// A system call that failed: which, on what, why, and what the administrator can do about it.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was tried, in the manual pages' words: "connect", "bind", "setsockopt SO_BINDTODEVICE".
    public var call: String
    public var errno: Errno
    /// What it was tried on: a path, an interface, an address.
    public var subject: String
    /// What to do, where the usual advice for the error number does not fit.
    public var hint: String?

    public init(call: String, errno: Errno, subject: String, hint: String? = nil) {
        self.call = call
        self.errno = errno
        self.subject = subject
        self.hint = hint
    }

    public var description: String {
        var text = "\(call) \(subject): \(errno)"
        if let advice = hint ?? advice { text += "; \(advice)" }
        return text
    }

    /// What to do about the usual errors; nil where only the error itself can be said.
    public var advice: String? {
        switch errno {
        case .accessDenied where call == "connect", .notPermitted where call == "connect":
            "a firewall or route on this machine forbids it (nft list ruleset, ip route)"
        case .accessDenied, .notPermitted:
            "run as root, or with CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK and CAP_SYS_RESOURCE"
        case .noSuchDevice:
            "there is no such network interface; `ip link` lists them"
        case .addressNotAvailable:
            "this machine does not have the address, or not yet (`ip address` shows it as tentative)"
        case .addressInUse:
            "another program uses it"
        case .networkDown:
            "the interface is down; `ip link set … up`"
        case .networkUnreachable:
            "no way leads there from the bound interface; is it up? check its address and `ip route`"
        case .hostUnreachable:
            "nothing answers at that address; check cabling, VLAN and the address"
        case .connectionRefused:
            "nothing listens there; check address and port and that the target is running"
        case .timedOut:
            "no answer came; check that the target is up and that no firewall drops the packets"
        case .connectionReset, .brokenPipe, .connectionAborted:
            "the other side closed the connection"
        case .tooManyOpenFiles:
            "raise LimitNOFILE= of causewayd.service"
        case .outOfMemory, .noBufferSpace:
            "the machine is short of memory"
        case .noSuchFile:
            "it does not exist"
        case .notSupported:
            "this kernel is too old for it"
        default:
            nil
        }
    }
}

/// The result of a `linux_…` function: what is not negative, or the error that it carries.
@discardableResult
func check(
    _ result: Int32, _ call: @autoclosure () -> String, _ subject: @autoclosure () -> String
) throws(SystemError) -> Int32 {
    guard result >= 0 else {
        throw SystemError(call: call(), errno: Errno(rawValue: -result), subject: subject())
    }
    return result
}
