import CNetlink
import Glibc

/// The kernel's NBD driver over generic netlink (`linux/nbd-netlink.h`): makes, re-attaches, resizes and ends
/// `/dev/nbdX`.
///
/// Every call blocks in the thread that makes it, and while one blocks, every other NBD call of the machine
/// waits behind it (they share the kernel's `genl_mutex`). Therefore a daemon makes them through
/// `NBDCallRunner`, one at a time, and never from a thread that serves I/O.
public struct NBDControl: ~Copyable {
    private let socket: NetlinkSocket

    /// - Parameter loadingModule: run modprobe when the driver is not there.
    public init(loadingModule: Bool = true) throws(NBDDeviceError) {
        socket = try NetlinkSocket(loadingModule: loadingModule)
    }

    /// Makes a device and returns its index.
    ///
    /// The kernel says "busy" for a device that somebody merely has open, such as udev right after modprobe
    /// or after a disconnect: that is tried again for up to `busyPatienceMilliseconds`. A device that is
    /// configured by somebody is reported at once.
    public func connect(
        _ request: ConnectRequest, busyPatienceMilliseconds: Int = 3000, in system: SystemRoot = .live
    ) throws(NBDDeviceError) -> UInt32 {
        if let reason = request.fault { throw .invalid(.connect, reason: reason) }
        var pauseMilliseconds = 20
        var waitedMilliseconds = 0
        while true {
            do throws(NBDDeviceError) {
                return try connectOnce(request)
            } catch .refused(.connect, let index, EBUSY) {
                let configured = index.map { KernelDevice(index: $0, in: system).isConfigured } ?? false
                guard !configured, waitedMilliseconds < busyPatienceMilliseconds else {
                    throw .refused(.connect, index: index, errno: EBUSY)
                }
                sleepMilliseconds(pauseMilliseconds)
                waitedMilliseconds += pauseMilliseconds
                pauseMilliseconds = min(pauseMilliseconds * 2, 320)
            }
        }
    }

    private func connectOnce(_ request: ConnectRequest) throws(NBDDeviceError) -> UInt32 {
        var message = try NetlinkRequest(family: socket.family, command: NBD_CMD_CONNECT)
        if let index = request.index { message.put(NBD_ATTR_INDEX, index) }
        message.put(NBD_ATTR_SIZE_BYTES, request.sizeBytes)
        message.put(NBD_ATTR_BLOCK_SIZE_BYTES, UInt64(request.blockSizeBytes))
        message.put(NBD_ATTR_TIMEOUT, request.timeoutSeconds)
        message.put(NBD_ATTR_DEAD_CONN_TIMEOUT, request.deadConnectionTimeoutSeconds)
        message.put(NBD_ATTR_SERVER_FLAGS, request.serverFlags.rawValue)
        message.put(NBD_ATTR_CLIENT_FLAGS, request.clientFlags.rawValue)
        message.put(NBD_ATTR_BACKEND_IDENTIFIER, request.backendIdentifier)
        message.put(sockets: request.sockets)
        let answer = try exchange(message, .connect, index: request.index)
        guard let index = answer.index else { throw .replyWithoutIndex }
        return index
    }

    /// Gives the device new sockets in place of dead ones.
    ///
    /// Success does not mean that they were taken: a socket that finds no dead slot is silently dropped.
    /// Close the kernel's ends and ask `KernelSocketPair.verifyAdopted`; when dropped, make sure that the old
    /// sockets are really dead (`shutdown`) and try again.
    public func reconnect(_ request: ReconnectRequest) throws(NBDDeviceError) {
        if let reason = fault(of: request.backendIdentifier) ?? fault(of: request.sockets) {
            throw .invalid(.reconnect, reason: reason)
        }
        var message = try NetlinkRequest(family: socket.family, command: NBD_CMD_RECONFIGURE)
        message.put(NBD_ATTR_INDEX, request.index)
        message.put(NBD_ATTR_BACKEND_IDENTIFIER, request.backendIdentifier)
        message.put(sockets: request.sockets)
        _ = try exchange(message, .reconnect, index: request.index)
    }

    /// Changes the size of a live device. Drain its requests first: from Linux 6.12 on the kernel waits for
    /// them.
    ///
    /// - Parameter caller: a socket whose other end the device's server holds. Nothing is done when that is
    ///   closed: the kernel would wait for answers that nobody gives, and no successor could get in.
    public func resize(_ request: ResizeRequest, for caller: Int32? = nil) throws(NBDDeviceError) {
        if let reason = fault(of: request.backendIdentifier) ?? fault(ofSizeBytes: request.sizeBytes) {
            throw .invalid(.resize, reason: reason)
        }
        var message = try NetlinkRequest(family: socket.family, command: NBD_CMD_RECONFIGURE)
        message.put(NBD_ATTR_INDEX, request.index)
        message.put(NBD_ATTR_BACKEND_IDENTIFIER, request.backendIdentifier)
        message.put(NBD_ATTR_SIZE_BYTES, request.sizeBytes)
        if let caller, isHungUp(caller) {
            throw .invalid(.resize, reason: "the device's server has ended")
        }
        _ = try exchange(message, .resize, index: request.index)
    }

    /// Ends the device: the server gets `NBD_CMD_DISC`, what is in flight fails with EIO. The kernel never
    /// refuses, mounted or not (`ExclusiveClaim` is the check), and disconnecting a device that is not
    /// connected succeeds.
    public func disconnect(index: UInt32) throws(NBDDeviceError) {
        var message = try NetlinkRequest(family: socket.family, command: NBD_CMD_DISCONNECT)
        message.put(NBD_ATTR_INDEX, index)
        _ = try exchange(message, .disconnect, index: index)
    }

    /// Every NBD device that the kernel has, connected or not, in the kernel's order.
    public func status() throws(NBDDeviceError) -> [DeviceStatus] {
        let message = try NetlinkRequest(family: socket.family, command: NBD_CMD_STATUS)
        return try exchange(message, .status, index: nil).devices
    }

    /// What came back between the request and its ACK.
    private struct Answer {
        /// 0, or the kernel's errno; libnl's own codes lose it.
        var errno: Int32 = 0
        var isComplete = false
        var index: UInt32?
        var devices: [DeviceStatus] = []
    }

    private func exchange(
        _ request: borrowing NetlinkRequest, _ operation: NBDOperation, index: UInt32?
    ) throws(NBDDeviceError) -> Answer {
        guard !request.overflowed else { throw .invalid(operation, reason: "the request is too long") }
        guard unsafe nl_send_auto(socket.pointer, request.message) >= 0 else {
            throw .system(call: "send", subject: "generic netlink", errno: Glibc.errno)
        }
        var answer = Answer()
        let failure = unsafe withUnsafeMutablePointer(to: &answer) { target in
            unsafe Self.receive(on: socket.pointer, into: target)
        }
        if let failure { throw failure }
        guard answer.errno == 0 else { throw .refused(operation, index: index, errno: answer.errno) }
        return answer
    }

    private static func receive(
        on socket: OpaquePointer, into answer: UnsafeMutablePointer<Answer>
    ) -> NBDDeviceError? {
        unsafe nl_socket_modify_cb(
            socket, NL_CB_VALID, NL_CB_CUSTOM,
            { message, target in
                guard let message = unsafe message,
                    let answer = unsafe target?.assumingMemoryBound(to: Answer.self)
                else { return Int32(bitPattern: NL_SKIP.rawValue) }
                unsafe answer.pointee.index = NetlinkAttributes.index(of: message)
                unsafe answer.pointee.devices += NetlinkAttributes.devices(of: message)
                return Int32(bitPattern: NL_OK.rawValue)
            }, answer)
        unsafe nl_socket_modify_cb(
            socket, NL_CB_ACK, NL_CB_CUSTOM,
            { _, target in
                unsafe target?.assumingMemoryBound(to: Answer.self).pointee.isComplete = true
                return Int32(bitPattern: NL_STOP.rawValue)
            }, answer)
        unsafe nl_socket_modify_err_cb(
            socket, NL_CB_CUSTOM,
            { _, error, target in
                if let answer = unsafe target?.assumingMemoryBound(to: Answer.self), let error = unsafe error
                {
                    unsafe answer.pointee.errno = -error.pointee.error
                    unsafe answer.pointee.isComplete = true
                }
                return Int32(bitPattern: NL_STOP.rawValue)
            }, answer)
        while unsafe !answer.pointee.isComplete {
            let code = unsafe nl_recvmsgs_default(socket)
            if code < 0, unsafe !answer.pointee.isComplete {
                let words =
                    unsafe nl_geterror(code).map { unsafe String(cString: $0) } ?? "libnl error \(code)"
                return .unexpected(path: "generic netlink", content: words)
            }
        }
        return nil
    }
}

private func isHungUp(_ descriptor: Int32) -> Bool {
    var polled = pollfd(fd: descriptor, events: 0, revents: 0)
    return unsafe poll(&polled, 1, 0) == 1 && polled.revents & Int16(POLLHUP) != 0
}

extension ConnectRequest {
    /// What the kernel would call EINVAL without saying why; nil when nothing is wrong.
    var fault: String? {
        if let reason = NBDDevice.fault(of: backendIdentifier) ?? NBDDevice.fault(of: sockets) {
            return reason
        }
        let pageByteCount = UInt32(clamping: sysconf(Int32(_SC_PAGESIZE)))
        guard blockSizeBytes >= 512, blockSizeBytes <= pageByteCount, blockSizeBytes.nonzeroBitCount == 1
        else {
            return "a block size of \(blockSizeBytes) bytes; the kernel takes a power of two from 512 to "
                + "\(pageByteCount)"
        }
        if let reason = NBDDevice.fault(ofSizeBytes: sizeBytes) { return reason }
        guard sizeBytes % UInt64(blockSizeBytes) == 0 else {
            return "a size of \(sizeBytes) bytes, which is no multiple of its block size \(blockSizeBytes)"
        }
        guard sockets.count == 1 || serverFlags.contains(.canMultiConn) else {
            return "\(sockets.count) sockets without canMultiConn"
        }
        return nil
    }
}

func fault(of backendIdentifier: String) -> String? {
    let bytes = backendIdentifier.utf8
    guard !bytes.isEmpty, bytes.count <= backendIdentifierByteCountMax,
        bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
    else {
        return "a backend identifier that is not 1 to \(backendIdentifierByteCountMax) visible characters"
    }
    return nil
}

func fault(of sockets: [Int32]) -> String? {
    guard !sockets.isEmpty, sockets.count <= socketCountMax, sockets.allSatisfy({ $0 >= 0 }) else {
        return "\(sockets.count) sockets; 1 to \(socketCountMax) open ones are needed"
    }
    return nil
}

func fault(ofSizeBytes size: UInt64) -> String? {
    guard size > 0, size <= UInt64(Int64.max) else { return "a size of \(size) bytes" }
    return nil
}
