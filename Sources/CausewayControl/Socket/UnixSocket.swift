import Glibc

/// A Unix stream socket. A plain handle: whoever made it closes it, once.
///
/// Nothing here raises SIGPIPE, and every descriptor is closed on exec.
public struct UnixSocket: Sendable {
    public let descriptor: Int32

    public static func connect(to path: String) throws(SystemCallError) -> UnixSocket {
        let socket = try make()
        let result = unsafe try withAddress(path, call: "connect") { address, length in
            var result: Int32
            repeat {
                result = unsafe Glibc.connect(socket.descriptor, address, length)
            } while result != 0 && errno == EINTR
            return result
        }
        guard result == 0 else {
            let error = SystemCallError("connect", path: path)
            socket.close()
            throw error
        }
        return socket
    }

    /// Binds, sets owner and mode, and only then listens: before that nobody can connect.
    ///
    /// The path must be free. `group` nil leaves the owner as it is.
    public static func listen(at path: String, mode: UInt32, group: UInt32?) throws(SystemCallError)
        -> UnixSocket
    {
        let socket = try make()
        do throws(SystemCallError) {
            let bound = unsafe try withAddress(path, call: "bind") { address, length in
                unsafe Glibc.bind(socket.descriptor, address, length)
            }
            guard bound == 0 else { throw SystemCallError("bind", path: path) }
            if let group {
                guard unsafe chown(path, geteuid(), group) == 0 else {
                    throw SystemCallError("chown", path: path)
                }
            }
            guard unsafe chmod(path, mode) == 0 else { throw SystemCallError("chmod", path: path) }
            guard Glibc.listen(socket.descriptor, 64) == 0 else {
                throw SystemCallError("listen", path: path)
            }
            return socket
        } catch {
            socket.close()
            throw error
        }
    }

    /// nil when the client that was waiting has gone again.
    public func accept() throws(SystemCallError) -> UnixSocket? {
        let accepted = Glibc.accept(descriptor, nil, nil)
        if accepted >= 0 {
            // Glibc's module does not show accept4. A process that is started in between inherits the
            // descriptor, so whoever starts one closes what it does not need.
            _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
            return UnixSocket(descriptor: accepted)
        }
        if [EINTR, ECONNABORTED, EAGAIN, EPROTO].contains(errno) { return nil }
        throw SystemCallError("accept")
    }

    public func peerCredentials() throws(SystemCallError) -> PeerCredentials {
        // `struct ucred`: pid, uid and gid, four bytes each.
        var words: [UInt32] = [0, 0, 0]
        var length = socklen_t(12)
        let result = unsafe words.withUnsafeMutableBytes { bytes in
            unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, bytes.baseAddress, &length)
        }
        guard result == 0, length == 12 else { throw SystemCallError("getsockopt SO_PEERCRED") }
        return PeerCredentials(processID: Int32(bitPattern: words[0]), userID: words[1], groupID: words[2])
    }

    /// A receive or a send that makes no progress for that long fails with `EAGAIN`. Zero: never.
    public func setTimeouts(
        receiveMilliseconds: UInt32, sendMilliseconds: UInt32
    ) throws(SystemCallError) {
        for (option, milliseconds) in [(SO_RCVTIMEO, receiveMilliseconds), (SO_SNDTIMEO, sendMilliseconds)] {
            var time = timeval(tv_sec: Int(milliseconds / 1000), tv_usec: Int(milliseconds % 1000) * 1000)
            let size = socklen_t(MemoryLayout<timeval>.size)
            guard unsafe setsockopt(descriptor, SOL_SOCKET, option, &time, size) == 0 else {
                throw SystemCallError("setsockopt")
            }
        }
    }

    /// Bytes received into the start of `buffer`; 0 when the peer has closed its side.
    public func receive(into buffer: inout [UInt8]) throws(SystemCallError) -> Int {
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe recv(descriptor, bytes.baseAddress, bytes.count, 0)
            }
            if count >= 0 { return count }
            if errno != EINTR { throw SystemCallError("recv") }
        }
    }

    public func send(_ bytes: [UInt8]) throws(SystemCallError) {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { all in
                unsafe Glibc.send(
                    descriptor, all.baseAddress.map { unsafe $0 + sent }, all.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            if count >= 0 {
                sent += count
            } else if errno != EINTR {
                throw SystemCallError("send")
            }
        }
    }

    /// Wakes a thread that waits in `receive` as if the peer had closed.
    public func shutdownReceiving() {
        _ = Glibc.shutdown(descriptor, Int32(SHUT_RD))
    }

    public func close() {
        _ = Glibc.close(descriptor)
    }

    private static func make() throws(SystemCallError) -> UnixSocket {
        let descriptor = Glibc.socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SystemCallError("socket") }
        return UnixSocket(descriptor: descriptor)
    }

    private static func withAddress(
        _ path: String, call: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(SystemCallError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count <= RequestLimits.socketPathBytesMax, !bytes.contains(0) else {
            throw SystemCallError(call, code: ENAMETOOLONG, path: path)
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        return unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe body(pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
