import CLinux
import Glibc

/// Who is at the other end of a Unix socket, as it was when the connection was made.
public struct PeerCredentials: Hashable, BitwiseCopyable, Sendable {
    public var processID: Int32
    public var userID: UInt32
    public var groupID: UInt32

    public init(of socket: Int32) throws(SystemError) {
        var peer = linux_peer()
        try check(
            unsafe linux_peer_credentials(socket, &peer), "getsockopt SO_PEERCRED", "descriptor \(socket)")
        processID = peer.pid
        userID = peer.uid
        groupID = peer.gid
    }
}

/// Two connected Unix stream sockets: one end goes to the kernel's NBD driver, the other to a lane.
@frozen public struct SocketPair: ~Copyable, Sendable {
    public let kernelEnd: OwnedDescriptor
    public let laneEnd: OwnedDescriptor

    /// The kernel splits what is sent into pieces of at most half the send buffer, so a large one costs fewer
    /// wake-ups. Both ends get `bufferByteCount`, or what net.core.wmem_max allows without CAP_NET_ADMIN.
    public init(bufferByteCount: Int = 1 << 20) throws(SystemError) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = unsafe withUnsafeMutableBytes(of: &ends) { bytes in
            unsafe bytes.withMemoryRebound(to: Int32.self) { ends in
                guard let ends = ends.baseAddress else { return -Errno.invalidArgument.rawValue }
                return unsafe linux_socket_pair(ends)
            }
        }
        try check(result, "socketpair", "for a disk")
        kernelEnd = OwnedDescriptor(adopting: ends.0)
        laneEnd = OwnedDescriptor(adopting: ends.1)
        for end in [ends.0, ends.1] {
            _ = linux_set_option(end, linux_option_send_buffer, Int32(clamping: bufferByteCount))
        }
    }
}

/// A listening Unix stream socket in the file system.
public struct UnixListener: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor
    public let path: String
    private let identity: FileIdentity

    /// For a poller, and for `accept`.
    public var rawValue: Int32 { descriptor.rawValue }

    /// Makes the socket at `path`. It has `mode` from the first moment on; with a `group` it is given to that
    /// group first and only then opened up to `mode`.
    ///
    /// The path is absolute. Nothing but a socket on which nobody listens any more is ever replaced: any
    /// other file gives EEXIST, a living socket EADDRINUSE.
    public init(path: String, mode: UInt32 = 0o600, group: UInt32? = nil, backlog: Int32 = 128)
        throws(SystemError)
    {
        guard path.hasPrefix("/") else {
            throw SystemError(
                call: "bind", errno: .invalidArgument, subject: path, hint: "give the path from the root on")
        }
        let address = try UnixAddress(path: path)
        try Self.removeAbandoned(path, address)
        let socket = try UnixAddress.makeSocket(SOCK_STREAM, subject: path)
        // On a socket that has no name yet this sets the mode that its name will get, however open the umask
        // is.
        guard fchmod(socket.rawValue, group == nil ? mode : mode & 0o700) == 0 else {
            throw SystemError(call: "fchmod", errno: Errno(rawValue: Glibc.errno), subject: path)
        }
        try check(address.bind(socket.rawValue), "bind", path)
        do {
            identity = try Self.open(path, socket.rawValue, mode: mode, group: group, backlog: backlog)
        } catch {
            unsafe unlink(path)
            throw error
        }
        self.path = path
        descriptor = socket
    }

    /// The next connection, nil when none waits.
    public func accept() throws(SystemError) -> OwnedDescriptor? {
        try TCPConnection.accept(descriptor.rawValue)
    }

    /// Closes the socket and takes its name away, unless the name stands for something else by now. A
    /// listener that is merely dropped leaves its name behind.
    public consuming func closeAndRemove() {
        if let present = try? FileIdentity(of: path), present == identity { unsafe unlink(path) }
    }

    /// Lets in those who may, once the name is there, and only then begins to listen.
    private static func open(
        _ path: String, _ socket: Int32, mode: UInt32, group: UInt32?, backlog: Int32
    ) throws(SystemError) -> FileIdentity {
        if let group, unsafe lchown(path, uid_t.max, group) != 0 {
            throw SystemError(call: "chown", errno: Errno(rawValue: Glibc.errno), subject: path)
        }
        guard unsafe chmod(path, mode) == 0 else {
            throw SystemError(call: "chmod", errno: Errno(rawValue: Glibc.errno), subject: path)
        }
        guard Glibc.listen(socket, backlog) == 0 else {
            throw SystemError(call: "listen", errno: Errno(rawValue: Glibc.errno), subject: path)
        }
        return try FileIdentity(of: path)
    }

    private static func removeAbandoned(_ path: String, _ address: UnixAddress) throws(SystemError) {
        let found: FileIdentity
        do { found = try FileIdentity(of: path) } catch {
            guard error.errno == .noSuchFile else { throw error }
            return
        }
        guard found.isSocket else {
            throw SystemError(
                call: "bind", errno: .fileExists, subject: path,
                hint: "something that is not a socket is there; move it away or choose another path")
        }
        // A socket just made by someone who has not come to listen yet looks abandoned, so ask twice.
        for attempt in 0..<2 {
            if attempt > 0 { usleep(50_000) }
            let probe = try UnixAddress.makeSocket(SOCK_STREAM, subject: path)
            let result = Errno(rawValue: -address.connect(probe.rawValue))
            if result == .noSuchFile { return }
            guard result == .connectionRefused else {
                throw SystemError(
                    call: "bind", errno: .addressInUse, subject: path,
                    hint: "another program listens there; `ss -xlp` shows which")
            }
        }
        // Taken aside first and looked at again: another daemon may have put its own in place since.
        let aside = "\(path).\(getpid())"
        guard unsafe rename(path, aside) == 0 else {
            if Glibc.errno == ENOENT { return }
            throw SystemError(call: "rename", errno: Errno(rawValue: Glibc.errno), subject: path)
        }
        guard try FileIdentity(of: aside) == found else {
            _ = unsafe linux_rename_no_replace(aside, path)
            throw SystemError(
                call: "bind", errno: .addressInUse, subject: path,
                hint: "another program took the path a moment ago; `ss -xlp` shows which")
        }
        unsafe unlink(aside)
    }
}

/// What a name in the file system stands for.
private struct FileIdentity: Equatable {
    let device: UInt64
    let inode: UInt64
    let isSocket: Bool

    init(of path: String) throws(SystemError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else {
            throw SystemError(call: "lstat", errno: Errno(rawValue: Glibc.errno), subject: path)
        }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        isSocket = status.st_mode & S_IFMT == S_IFSOCK
    }
}

/// The address of a Unix socket: a path, or an abstract name written with a leading "@".
struct UnixAddress {
    private let storage: sockaddr_storage
    private let length: socklen_t

    init(path: String) throws(SystemError) {
        var path = path
        var storage = sockaddr_storage()
        let length = path.withUTF8 { bytes -> Int32 in
            guard let start = bytes.baseAddress, unsafe !bytes.contains(0) else {
                return -Errno.invalidArgument.rawValue
            }
            return unsafe start.withMemoryRebound(to: CChar.self, capacity: bytes.count) {
                unsafe linux_unix_address($0, bytes.count, &storage)
            }
        }
        guard length > 0 else {
            throw SystemError(
                call: "bind", errno: Errno(rawValue: -length), subject: path,
                hint: "the path of a Unix socket has 1 to 107 bytes")
        }
        self.storage = storage
        self.length = socklen_t(length)
    }

    static func makeSocket(_ type: __socket_type, subject: String) throws(SystemError) -> OwnedDescriptor {
        OwnedDescriptor(
            adopting: try check(linux_socket(AF_UNIX, Int32(type.rawValue), 0), "socket", subject))
    }

    func bind(_ socket: Int32) -> Int32 {
        unsafe withUnsafePointer(to: storage) { unsafe linux_bind(socket, $0, length) }
    }

    func connect(_ socket: Int32) -> Int32 {
        unsafe withUnsafePointer(to: storage) { unsafe linux_connect(socket, $0, length) }
    }

    /// One datagram to this address, with a descriptor beside it if there is one.
    func send(_ text: String, from socket: Int32, descriptor: Int32?) -> Int32 {
        var text = text
        return text.withUTF8 { bytes in
            guard let start = bytes.baseAddress else { return 0 }
            return unsafe withUnsafePointer(to: storage) {
                unsafe linux_send_datagram(socket, $0, length, start, bytes.count, descriptor ?? -1)
            }
        }
    }
}

/// Connects to a Unix stream socket by its path. Throws EAGAIN when its queue of waiting connections is full.
public func connectUnix(path: String) throws(SystemError) -> OwnedDescriptor {
    let address = try UnixAddress(path: path)
    let socket = try UnixAddress.makeSocket(SOCK_STREAM, subject: path)
    try check(address.connect(socket.rawValue), "connect", path)
    return socket
}
