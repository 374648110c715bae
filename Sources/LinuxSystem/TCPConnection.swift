import CLinux
import Glibc

/// How to reach a portal: the source side of a path and where it leads.
public struct Route: Hashable, Sendable, CustomStringConvertible {
    /// The bound interface (SO_BINDTODEVICE): no packet of the connection leaves through another one.
    public var interface: String?
    /// The source address; the kernel chooses one where it is nil.
    public var source: IPAddress?
    public var destination: SocketAddress

    public init(interface: String? = nil, source: IPAddress? = nil, to destination: SocketAddress) {
        self.interface = interface
        self.source = source
        self.destination = destination
    }

    public var description: String {
        var text = "\(destination)"
        if let source { text += " from \(source)" }
        if let interface { text += " on \(interface)" }
        return text
    }
}

/// Socket options of a TCP connection.
public struct TCPOptions: Hashable, BitwiseCopyable, Sendable {
    /// How long sent data may stay unacknowledged, and a connect unanswered, before the kernel ends the
    /// connection with ETIMEDOUT (TCP_USER_TIMEOUT), in milliseconds; 0 leaves the kernel's quarter of an
    /// hour.
    public var userTimeoutMilliseconds: UInt32
    /// nil leaves them to the kernel, which tunes them to the connection.
    public var sendBufferByteCount: Int?
    public var receiveBufferByteCount: Int?

    public init(
        userTimeoutMilliseconds: UInt32 = 0, sendBufferByteCount: Int? = nil,
        receiveBufferByteCount: Int? = nil
    ) {
        self.userTimeoutMilliseconds = userTimeoutMilliseconds
        self.sendBufferByteCount = sendBufferByteCount
        self.receiveBufferByteCount = receiveBufferByteCount
    }
}

/// TCP sockets.
public enum TCPConnection {
    /// Begins a connection. The socket becomes writable when it is made or has failed: `error(of:)` then
    /// tells which.
    ///
    /// Throws what is known at once: no such interface, an address that this machine does not have, no route.
    public static func connect(
        _ route: Route, options: TCPOptions = TCPOptions()
    ) throws(SystemError) -> OwnedDescriptor {
        var route = route
        var interfaceIndex: UInt32 = 0
        if let interface = route.interface { interfaceIndex = try NetworkLink.index(of: interface) }
        // A link-local address means nothing without its link, and the bound interface is the one that is
        // meant.
        if route.destination.address.isLinkLocal, route.destination.address.scope == 0 {
            route.destination.address.scope = route.destination.address.family == .v6 ? interfaceIndex : 0
        }
        let socket = try makeSocket(route.destination.address.family, subject: route)
        try set(linux_option_no_delay, 1, "TCP_NODELAY", socket, route)
        if options.userTimeoutMilliseconds > 0 {
            let timeout = Int32(clamping: options.userTimeoutMilliseconds)
            try set(linux_option_user_timeout, timeout, "TCP_USER_TIMEOUT", socket, route)
        }
        if let bytes = options.sendBufferByteCount {
            try set(linux_option_send_buffer, Int32(clamping: bytes), "SO_SNDBUF", socket, route)
        }
        if let bytes = options.receiveBufferByteCount {
            try set(linux_option_receive_buffer, Int32(clamping: bytes), "SO_RCVBUF", socket, route)
        }
        if let interface = route.interface {
            try check(
                unsafe linux_bind_to_device(socket.rawValue, interface), "setsockopt SO_BINDTODEVICE",
                interface)
        }
        if var source = route.source {
            if source.isLinkLocal, source.family == .v6, source.scope == 0 { source.scope = interfaceIndex }
            // The port is chosen at connect, when the whole four-tuple is known, so that ports do not run
            // out.
            try set(linux_option_bind_without_port, 1, "IP_BIND_ADDRESS_NO_PORT", socket, route)
            let local = SocketAddress(source, port: 0).kernelForm
            try check(
                unsafe withUnsafePointer(to: local.storage) {
                    unsafe linux_bind(socket.rawValue, $0, local.length)
                }, "bind", "\(source)")
        }
        let remote = route.destination.kernelForm
        let result = unsafe withUnsafePointer(to: remote.storage) {
            unsafe linux_connect(socket.rawValue, $0, remote.length)
        }
        if result != -Errno.inProgress.rawValue { try check(result, "connect", "\(route)") }
        return socket
    }

    /// The error that ended the socket or its connect, which asking takes away; nil if there is none.
    public static func takeError(of socket: Int32) -> Errno? {
        let error = linux_take_socket_error(socket)
        return error == 0 ? nil : Errno(rawValue: error)
    }

    /// Listens on a TCP address; port 0 lets the kernel choose one, which `localAddress(of:)` tells.
    public static func listen(on address: SocketAddress, backlog: Int32 = 128) throws(SystemError)
        -> OwnedDescriptor
    {
        let socket = try makeSocket(address.address.family, subject: Route(to: address))
        try set(linux_option_reuse_address, 1, "SO_REUSEADDR", socket, Route(to: address))
        let local = address.kernelForm
        try check(
            unsafe withUnsafePointer(to: local.storage) {
                unsafe linux_bind(socket.rawValue, $0, local.length)
            },
            "bind", "\(address)")
        guard Glibc.listen(socket.rawValue, backlog) == 0 else {
            throw SystemError(call: "listen", errno: Errno(rawValue: Glibc.errno), subject: "\(address)")
        }
        return socket
    }

    /// The next connection of a listening socket (TCP or Unix), nil when none waits.
    public static func accept(_ listener: Int32) throws(SystemError) -> OwnedDescriptor? {
        let result = linux_accept(listener)
        switch Errno(rawValue: -result) {
        case .again, .connectionAborted:
            return nil
        default:
            return OwnedDescriptor(adopting: try check(result, "accept4", "descriptor \(listener)"))
        }
    }

    /// nil if the socket is not an IP socket, or is closed.
    public static func localAddress(of socket: Int32) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        guard unsafe linux_local_address(socket, &storage, &length) == 0 else { return nil }
        return SocketAddress(kernelForm: storage)
    }

    /// nil if the socket is not a connected IP socket.
    public static func peerAddress(of socket: Int32) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        guard unsafe linux_peer_address(socket, &storage, &length) == 0 else { return nil }
        return SocketAddress(kernelForm: storage)
    }

    /// Acknowledges what has arrived at once instead of waiting for something to send (TCP_QUICKACK). The
    /// kernel leaves this mode by itself.
    public static func acknowledgeQuickly(_ socket: Int32) {
        _ = linux_set_option(socket, linux_option_quick_ack, 1)
    }

    /// Breaks a connection off: what was not sent is thrown away, and the peer is told by a reset. The
    /// descriptor stays open.
    public static func abort(_ socket: Int32) {
        var nowhere = sockaddr()
        nowhere.sa_family = sa_family_t(AF_UNSPEC)
        // connect(2) to no family dissolves the association, which for TCP is a reset.
        _ = unsafe Glibc.connect(socket, &nowhere, socklen_t(MemoryLayout<sockaddr>.size))
    }

    private static func makeSocket(_ family: IPAddress.Family, subject: Route) throws(SystemError)
        -> OwnedDescriptor
    {
        let domain = family == .v4 ? AF_INET : AF_INET6
        let type = Int32(SOCK_STREAM.rawValue)
        return OwnedDescriptor(
            adopting: try check(linux_socket(domain, type, Int32(IPPROTO_TCP)), "socket", "\(subject)"))
    }

    private static func set(
        _ option: linux_socket_option, _ value: Int32, _ name: String, _ socket: borrowing OwnedDescriptor,
        _ route: Route
    ) throws(SystemError) {
        let result = linux_set_option(socket.rawValue, option, value)
        try check(result, "setsockopt \(name)", "\(route)")
    }
}
