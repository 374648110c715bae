import CLinux
import Glibc

/// What the service says to systemd (sd_notify(3)).
public struct ServiceNotification: Sendable {
    private let socketPath: String

    /// nil where no service manager listens (NOTIFY_SOCKET is not set).
    public init?() {
        guard let path = Self.environment("NOTIFY_SOCKET"), path.hasPrefix("/") || path.hasPrefix("@") else {
            return nil
        }
        socketPath = path
    }

    /// For tests, and for a manager that was found in another way.
    public init(socketPath: String) { self.socketPath = socketPath }

    /// Start-up has ended; `status` is the line that `systemctl status` shows.
    public func ready(status: String? = nil) throws(SystemError) {
        try send("READY=1" + (status.map { "\nSTATUS=\(Self.oneLine($0))" } ?? ""))
    }

    public func status(_ text: String) throws(SystemError) { try send("STATUS=\(Self.oneLine(text))") }

    public func stopping() throws(SystemError) { try send("STOPPING=1") }

    /// The sign of life that `WatchdogSec=` asks for.
    public func watchdog() throws(SystemError) { try send("WATCHDOG=1") }

    /// Asks for more time to start or stop.
    public func extendTimeout(milliseconds: UInt32) throws(SystemError) {
        try send("EXTEND_TIMEOUT_USEC=\(UInt64(milliseconds) * 1000)")
    }

    /// Leaves a copy of the descriptor with the manager, which hands it to the next start of the service
    /// under this name (`FileDescriptorStoreMax=`). The manager keeps it although the other end is closed.
    public func store(_ descriptor: Int32, name: String) throws(SystemError) {
        precondition(Self.isName(name))
        try send("FDSTORE=1\nFDNAME=\(name)\nFDPOLL=0", descriptor: descriptor)
    }

    /// Takes back whatever was stored under the name.
    public func removeStored(name: String) throws(SystemError) {
        precondition(Self.isName(name))
        try send("FDSTOREREMOVE=1\nFDNAME=\(name)")
    }

    /// Waits until the manager has dealt with everything that was said before (sd_notify_barrier(3)): what
    /// was stored is then in its hands. ETIMEDOUT where it does not say so in time.
    public func barrier(milliseconds: Int32) throws(SystemError) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = unsafe withUnsafeMutableBytes(of: &ends) { bytes in
            unsafe bytes.withMemoryRebound(to: Int32.self) { unsafe pipe($0.baseAddress) }
        }
        guard result == 0 else {
            throw SystemError(call: "pipe2", errno: Errno(rawValue: Glibc.errno), subject: socketPath)
        }
        for end in [ends.0, ends.1] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let reading = OwnedDescriptor(adopting: ends.0)
        do {
            let writing = OwnedDescriptor(adopting: ends.1)
            try send("BARRIER=1", descriptor: writing.rawValue)
        }
        var waiting = pollfd(fd: reading.rawValue, events: 0, revents: 0)
        guard unsafe poll(&waiting, 1, milliseconds) == 1 else {
            throw SystemError(call: "poll", errno: Errno(rawValue: ETIMEDOUT), subject: socketPath)
        }
    }

    /// How often a sign of life is due, in microseconds; nil if nobody waits for one.
    public static func watchdogMicroseconds() -> UInt64? {
        if let pid = environment("WATCHDOG_PID"), pid != "\(getpid())" { return nil }
        guard let text = environment("WATCHDOG_USEC"), let value = UInt64(text), value > 0 else { return nil }
        return value
    }

    private func send(_ text: String, descriptor: Int32? = nil) throws(SystemError) {
        let socket = try UnixAddress.makeSocket(SOCK_DGRAM, subject: socketPath)
        let address = try UnixAddress(path: socketPath)
        try check(address.send(text, from: socket.rawValue, descriptor: descriptor), "sendmsg", socketPath)
    }

    /// Line breaks would begin another assignment.
    private static func oneLine(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }))
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 255
            && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x3a }
    }

    fileprivate static func environment(_ name: String) -> String? {
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }
}

/// The descriptors that the service manager handed over at the start (sd_listen_fds(3)): listening sockets of
/// a socket unit, and what was left in the descriptor store. Whoever takes the list owns them.
public enum PassedDescriptors {
    private static let first: Int32 = 3

    /// Takes the list: name and descriptor, close-on-exec and non-blocking from now on. The environment is
    /// cleared, so that neither a second call nor a child finds it again. Before any thread exists, since it
    /// changes the environment.
    public static func take() -> [(name: String, descriptor: Int32)] {
        defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsafe unsetenv(name) } }
        guard ServiceNotification.environment("LISTEN_PID") == "\(getpid())",
            let text = ServiceNotification.environment("LISTEN_FDS"), let count = Int32(text), count > 0,
            count < 65_536
        else { return [] }
        let names = (ServiceNotification.environment("LISTEN_FDNAMES") ?? "")
            .split(separator: ":", omittingEmptySubsequences: false)
        return (0..<count).map { place in
            let descriptor = first + place
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
            let name = Int(place) < names.count ? String(names[Int(place)]) : "unknown"
            return (name.isEmpty ? "unknown" : name, descriptor)
        }
    }
}
