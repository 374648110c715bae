import CNetlink
import Glibc

/// What the NBD driver says unasked.
public enum NBDEvent: Equatable, Sendable {
    /// A socket of the device died. Only a hint: it does not say which, and comes once a socket and sometimes
    /// twice.
    case linkDead(index: UInt32)
    /// The kernel had more to say than fitted: look at every device.
    case overrun
}

/// The multicast group of the NBD driver as a descriptor to poll. The driver must be loaded.
///
/// The kernel sends these only in the initial network namespace.
public struct NBDEvents: ~Copyable {
    private let socket: NetlinkSocket

    public init(loadingModule: Bool = true) throws(NBDDeviceError) {
        let socket = try NetlinkSocket(loadingModule: loadingModule)
        let group = unsafe genl_ctrl_resolve_grp(
            socket.pointer, NBD_GENL_FAMILY_NAME, NBD_GENL_MCAST_GROUP_NAME)
        guard group >= 0 else { throw .familyHidden }
        // Multicast messages answer no request, so their sequence numbers say nothing.
        unsafe nl_socket_disable_seq_check(socket.pointer)
        guard unsafe nl_socket_add_membership(socket.pointer, group) >= 0,
            unsafe nl_socket_set_nonblocking(socket.pointer) >= 0
        else { throw .system(call: "setsockopt", subject: "the NBD event group", errno: Glibc.errno) }
        self.socket = socket
    }

    /// Readable when `read` has something to return.
    public var descriptor: Int32 { socket.descriptor }

    /// Everything that has arrived; empty when nothing has. Never waits.
    public func read() -> [NBDEvent] {
        var events: [NBDEvent] = []
        unsafe withUnsafeMutablePointer(to: &events) { target in
            unsafe nl_socket_modify_cb(
                socket.pointer, NL_CB_VALID, NL_CB_CUSTOM,
                { message, target in
                    if let message = unsafe message,
                        let header = unsafe genlmsg_hdr(nlmsg_hdr(message)),
                        unsafe header.pointee.cmd == UInt8(NBD_CMD_LINK_DEAD),
                        let index = unsafe NetlinkAttributes.index(of: message)
                    {
                        unsafe target?.assumingMemoryBound(to: [NBDEvent].self).pointee
                            .append(.linkDead(index: index))
                    }
                    return Int32(bitPattern: NL_OK.rawValue)
                }, target)
            // libnl hands over one datagram a call; a limit keeps a storm from holding the caller.
            for _ in 0..<64 {
                let code = unsafe nl_recvmsgs_default(socket.pointer)
                if code == -Int32(NLE_NOMEM) {
                    unsafe target.pointee.append(.overrun)
                } else if code < 0 {
                    break
                }
            }
        }
        return events
    }
}
