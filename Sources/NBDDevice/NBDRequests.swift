/// The length limit of a backend identifier in UTF-8 bytes. The kernel has none of its own; sysfs shows a
/// page.
public let backendIdentifierByteCountMax = 255

/// How many sockets one device may have here: more than any machine has hardware queues worth using.
public let socketCountMax = 128

/// Everything `NBD_CMD_CONNECT` is told. Block size, time-outs and flags are always sent, because an index
/// that was used before may still carry those of its last owner.
public struct ConnectRequest: Equatable, Sendable {
    /// The wanted index, or nil for the first idle device (a new one if all are taken).
    public var index: UInt32?
    public var sizeBytes: UInt64
    /// Logical block size: a power of two from 512 to the page size.
    public var blockSizeBytes: UInt32
    /// How long the kernel waits for an answer before it gives up on a socket. 0 with one socket: for ever.
    public var timeoutSeconds: UInt64
    /// How long new requests wait for a new socket when all are dead, before they fail.
    public var deadConnectionTimeoutSeconds: UInt64
    public var serverFlags: NBDServerFlags
    public var clientFlags: NBDClientFlags
    /// Whose device this is; a successor finds it by this, and must show it to get in.
    public var backendIdentifier: String
    /// The kernel's ends, descriptors of this process: TCP or AF_UNIX SOCK_STREAM only. Close them after the
    /// call.
    public var sockets: [Int32]

    public init(
        index: UInt32? = nil, sizeBytes: UInt64, blockSizeBytes: UInt32, timeoutSeconds: UInt64 = 0,
        deadConnectionTimeoutSeconds: UInt64, serverFlags: NBDServerFlags,
        clientFlags: NBDClientFlags = .destroyOnDisconnect, backendIdentifier: String, sockets: [Int32]
    ) {
        self.index = index
        self.sizeBytes = sizeBytes
        self.blockSizeBytes = blockSizeBytes
        self.timeoutSeconds = timeoutSeconds
        self.deadConnectionTimeoutSeconds = deadConnectionTimeoutSeconds
        self.serverFlags = serverFlags
        self.clientFlags = clientFlags
        self.backendIdentifier = backendIdentifier
        self.sockets = sockets
    }
}

/// `NBD_CMD_RECONFIGURE` with new sockets for the dead ones, and nothing else. It has no size: from Linux
/// 6.10 on, a new size in the same call waits for requests that wait for the very sockets of that call, for
/// ever. It has no time-out either: that would put `queue/io_timeout` back to 30 s.
public struct ReconnectRequest: Equatable, Sendable {
    public var index: UInt32
    public var backendIdentifier: String
    public var sockets: [Int32]

    public init(index: UInt32, backendIdentifier: String, sockets: [Int32]) {
        self.index = index
        self.backendIdentifier = backendIdentifier
        self.sockets = sockets
    }
}

/// `NBD_CMD_RECONFIGURE` with a new size, and nothing else. From Linux 6.12 on it returns only after every
/// request in flight has been answered.
public struct ResizeRequest: Equatable, Sendable {
    public var index: UInt32
    public var backendIdentifier: String
    public var sizeBytes: UInt64

    public init(index: UInt32, backendIdentifier: String, sizeBytes: UInt64) {
        self.index = index
        self.backendIdentifier = backendIdentifier
        self.sizeBytes = sizeBytes
    }
}

/// One line of `NBD_CMD_STATUS`.
public struct DeviceStatus: Equatable, Sendable {
    public var index: UInt32
    /// The kernel's word, which also means "merely open" and "disconnected but still open": see
    /// `KernelDevice.isConfigured` for the better sign.
    public var connected: Bool

    public init(index: UInt32, connected: Bool) {
        self.index = index
        self.connected = connected
    }
}

/// Settings under `/sys/block/nbdX/queue`; nil means "leave alone". From Linux 6.11 on a write to this folder
/// waits until the requests in flight are answered, so they are set right after connect, from the helper
/// process.
public struct QueueSettings: Equatable, Sendable {
    /// `queue/io_timeout`: with one socket and time-out 0, how soon requests sent to a dead socket are sent
    /// again.
    public var ioTimeoutMilliseconds: UInt32?
    /// `queue/max_sectors_kb`; what is above `max_hw_sectors_kb` is cut down to it.
    public var maxSectorsKilobytes: UInt32?
    /// `queue/read_ahead_kb`.
    public var readAheadKilobytes: UInt32?
    /// `queue/rotational`.
    public var rotational: Bool?
    /// `queue/scheduler`, such as `none` or `mq-deadline`.
    public var scheduler: String?

    public init(
        ioTimeoutMilliseconds: UInt32? = nil, maxSectorsKilobytes: UInt32? = nil,
        readAheadKilobytes: UInt32? = nil, rotational: Bool? = nil, scheduler: String? = nil
    ) {
        self.ioTimeoutMilliseconds = ioTimeoutMilliseconds
        self.maxSectorsKilobytes = maxSectorsKilobytes
        self.readAheadKilobytes = readAheadKilobytes
        self.rotational = rotational
        self.scheduler = scheduler
    }
}
