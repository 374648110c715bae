import CNetlink
import Glibc

/// A generic-netlink socket that belongs to one owner, and the numbers that the kernel gave to the `nbd`
/// family.
@safe struct NetlinkSocket: ~Copyable {
    let pointer: OpaquePointer
    /// The family's id: dynamic, asked for by name.
    let family: Int32

    /// Opens and asks for the family; loads the module when it is not there and `loadingModule` allows it.
    init(loadingModule: Bool, in system: SystemRoot = .live) throws(NBDDeviceError) {
        guard let pointer = unsafe nl_socket_alloc() else {
            throw .system(call: "socket", subject: "netlink", errno: ENOMEM)
        }
        do throws(NBDDeviceError) {
            guard unsafe genl_connect(pointer) >= 0 else {
                throw .system(call: "socket", subject: "generic netlink", errno: Glibc.errno)
            }
            // A status answer of many devices is longer than libnl's first buffer.
            unsafe nl_socket_enable_msg_peek(pointer)
            var family = unsafe genl_ctrl_resolve(pointer, NBD_GENL_FAMILY_NAME)
            if family < 0, loadingModule, !NBDModule.isLoaded(in: system) {
                // Before Linux 6.12 the kernel does not load the module by the name of its family.
                try NBDModule.load(in: system)
                family = unsafe genl_ctrl_resolve(pointer, NBD_GENL_FAMILY_NAME)
            }
            guard family >= 0 else {
                throw NBDModule.isLoaded(in: system) ? .familyHidden : .moduleAbsent(detail: "")
            }
            self.family = family
            unsafe self.pointer = unsafe pointer
        } catch {
            unsafe nl_socket_free(pointer)
            throw error
        }
    }

    deinit { unsafe nl_socket_free(pointer) }

    var descriptor: Int32 { unsafe nl_socket_get_fd(pointer) }
}

/// A request to the `nbd` family under construction. What does not fit is remembered and refused at the end,
/// so that the lines that fill it stay plain.
@safe struct NetlinkRequest: ~Copyable {
    let message: OpaquePointer
    private(set) var overflowed = false

    init(family: Int32, command: Int) throws(NBDDeviceError) {
        guard let message = unsafe nlmsg_alloc() else {
            throw .system(call: "nlmsg_alloc", subject: "netlink", errno: ENOMEM)
        }
        unsafe self.message = unsafe message
        let header = unsafe genlmsg_put(
            message, UInt32(NL_AUTO_PORT), UInt32(NL_AUTO_SEQ), family, 0, 0, UInt8(command),
            UInt8(NBD_GENL_VERSION))
        if unsafe header == nil { overflowed = true }
    }

    deinit { unsafe nlmsg_free(message) }

    mutating func put(_ attribute: Int, _ value: UInt32) {
        if unsafe nla_put_u32(message, Int32(attribute), value) < 0 { overflowed = true }
    }

    mutating func put(_ attribute: Int, _ value: UInt64) {
        if unsafe nla_put_u64(message, Int32(attribute), value) < 0 { overflowed = true }
    }

    mutating func put(_ attribute: Int, _ value: String) {
        if unsafe nla_put_string(message, Int32(attribute), value) < 0 { overflowed = true }
    }

    /// `NBD_ATTR_SOCKETS { NBD_SOCK_ITEM { NBD_SOCK_FD } … }`
    mutating func put(sockets: [Int32]) {
        guard let list = unsafe nla_nest_start(message, Int32(NBD_ATTR_SOCKETS)) else {
            return overflowed = true
        }
        for socket in sockets {
            guard let item = unsafe nla_nest_start(message, Int32(NBD_SOCK_ITEM)) else {
                return overflowed = true
            }
            put(NBD_SOCK_FD, UInt32(bitPattern: socket))
            unsafe nla_nest_end(message, item)
        }
        unsafe nla_nest_end(message, list)
    }
}

/// Attributes of a received message, looked up by number and checked for their length.
enum NetlinkAttributes {
    static func first(of message: OpaquePointer) -> (start: UnsafeMutablePointer<nlattr>, byteCount: Int32)? {
        guard let header = unsafe genlmsg_hdr(nlmsg_hdr(message)),
            let start = unsafe genlmsg_attrdata(header, 0)
        else { return nil }
        return unsafe (start, genlmsg_attrlen(header, 0))
    }

    static func u32(_ attribute: UnsafePointer<nlattr>?) -> UInt32? {
        guard let attribute = unsafe attribute, unsafe nla_len(attribute) >= 4 else { return nil }
        return unsafe nla_get_u32(attribute)
    }

    static func u8(_ attribute: UnsafePointer<nlattr>?) -> UInt8? {
        guard let attribute = unsafe attribute, unsafe nla_len(attribute) >= 1 else { return nil }
        return unsafe nla_get_u8(attribute)
    }

    static func index(of message: OpaquePointer) -> UInt32? {
        guard let all = unsafe first(of: message) else { return nil }
        return unsafe u32(nla_find(all.start, all.byteCount, Int32(NBD_ATTR_INDEX)))
    }

    /// `NBD_ATTR_DEVICE_LIST { NBD_DEVICE_ITEM { NBD_DEVICE_INDEX, NBD_DEVICE_CONNECTED } … }`
    static func devices(of message: OpaquePointer) -> [DeviceStatus] {
        guard let all = unsafe first(of: message),
            let list = unsafe nla_find(all.start, all.byteCount, Int32(NBD_ATTR_DEVICE_LIST)),
            var item = unsafe nla_data(list)?.assumingMemoryBound(to: nlattr.self)
        else { return [] }
        var devices: [DeviceStatus] = []
        var rest = unsafe nla_len(list)
        while unsafe nla_ok(item, rest) != 0 {
            if unsafe nla_type(item) == Int32(NBD_DEVICE_ITEM),
                let fields = unsafe nla_data(item)?.assumingMemoryBound(to: nlattr.self),
                let index = unsafe u32(nla_find(fields, nla_len(item), Int32(NBD_DEVICE_INDEX))),
                let connected = unsafe u8(nla_find(fields, nla_len(item), Int32(NBD_DEVICE_CONNECTED)))
            {
                devices.append(DeviceStatus(index: index, connected: connected != 0))
            }
            guard let next = unsafe nla_next(item, &rest) else { break }
            unsafe item = unsafe next
        }
        return devices
    }
}
