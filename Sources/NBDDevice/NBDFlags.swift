/// What the server offers, told to the kernel at connect and fixed from then on (`NBD_FLAG_*`, NBD protocol
/// "Transmission flags"). Only the bits that the kernel's driver understands are here.
public struct NBDServerFlags: OptionSet, Equatable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let hasFlags = NBDServerFlags(rawValue: 1 << 0)
    public static let readOnly = NBDServerFlags(rawValue: 1 << 1)
    public static let sendFlush = NBDServerFlags(rawValue: 1 << 2)
    /// Has effect only together with `sendFlush`.
    public static let sendFUA = NBDServerFlags(rawValue: 1 << 3)
    /// Understood from Linux 6.12; older kernels take it through sysfs (`QueueSettings.rotational`).
    public static let rotational = NBDServerFlags(rawValue: 1 << 4)
    public static let sendTrim = NBDServerFlags(rawValue: 1 << 5)
    /// Understood from Linux 6.12.
    public static let sendWriteZeroes = NBDServerFlags(rawValue: 1 << 6)
    /// Asked for by the kernel when a device gets more than one socket.
    /// What the kernel knows of NBD's transmission flags; the numbers are the same.
    public static let kernel: NBDServerFlags = [
        .hasFlags, .readOnly, .sendFlush, .sendFUA, .rotational, .sendTrim, .sendWriteZeroes, .canMultiConn,
    ]

    public static let canMultiConn = NBDServerFlags(rawValue: 1 << 8)
}

/// What the kernel does with the device at the end of its life (`NBD_CFLAG_*` of `linux/nbd.h`).
///
/// `NBD_CFLAG_DISCONNECT_ON_CLOSE` is left out on purpose: udev's probe opens and closes the device right
/// after connect, and that alone would disconnect it.
public struct NBDClientFlags: OptionSet, Equatable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The device node goes away once it is disconnected and closed. The death of a socket or of the daemon
    /// does not count as disconnected.
    public static let destroyOnDisconnect = NBDClientFlags(rawValue: 1 << 0)
}
