import CLinux
import Glibc

/// The state of a network interface.
public struct NetworkLink: Hashable, Sendable {
    public var index: UInt32
    public var name: String
    /// Switched on by the administrator (IFF_UP).
    public var isUp: Bool
    /// A cable with something at its other end (IFF_LOWER_UP); never without `isUp`.
    public var hasCarrier: Bool
    /// Ready to carry packets (IFF_RUNNING): carrier, and whatever else the driver waits for.
    public var isRunning: Bool
    public var isLoopback: Bool
    /// Bytes.
    public var mtu: Int

    init(index: UInt32, name: String, flags: UInt32, mtu: Int = 0) {
        self.index = index
        self.name = name
        self.mtu = mtu
        isUp = flags & 0x1 != 0
        isLoopback = flags & 0x8 != 0
        isRunning = flags & 0x40 != 0
        hasCarrier = isUp && flags & 0x1_0000 != 0
    }

    /// The index of the interface of that name; ENODEV if there is none, or the name cannot be one.
    public static func index(of name: String) throws(SystemError) -> UInt32 {
        // The kernel cuts longer names, and then finds another interface.
        let isName = !name.isEmpty && name.utf8.count < Int(IF_NAMESIZE) && !name.utf8.contains(0)
        let index = isName ? unsafe if_nametoindex(name) : 0
        guard index > 0 else {
            throw SystemError(call: "if_nametoindex", errno: .noSuchDevice, subject: name)
        }
        return index
    }
}

/// How far an address reaches (rtnetlink(7), RT_SCOPE_…), an open set.
public struct AddressScope: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let global = AddressScope(rawValue: 0)
    public static let site = AddressScope(rawValue: 200)
    public static let link = AddressScope(rawValue: 253)
    public static let host = AddressScope(rawValue: 254)
}

/// An address of an interface.
public struct InterfaceAddress: Hashable, BitwiseCopyable, Sendable {
    public var interfaceIndex: UInt32
    public var address: IPAddress
    public var prefixLength: Int
    public var scope: AddressScope
    /// Duplicate address detection (RFC 4862) has not ended, or has failed: binding to it fails.
    public var isTentative: Bool
    /// Another machine has it.
    public var isDuplicate: Bool
    /// Not to be used for new connections while there is another.
    public var isDeprecated: Bool

    public var isUsable: Bool { !isTentative && !isDuplicate }
}

/// A network interface with its addresses.
public struct NetworkInterface: Hashable, Sendable {
    public var link: NetworkLink
    public var addresses: [InterfaceAddress]

    /// The address from which to reach `destination` over this interface: one of the same family and, where
    /// there is a choice, of the same subnet. nil if there is none that can be used now.
    public func sourceAddress(toward destination: IPAddress) -> InterfaceAddress? {
        let candidates = addresses.filter {
            $0.isUsable && $0.address.family == destination.family
                && (destination.family == .v4 || $0.address.isLinkLocal == destination.isLinkLocal)
        }
        return candidates.first { !$0.isDeprecated && isNear($0, destination) }
            ?? candidates.first { isNear($0, destination) }
            ?? candidates.first { !$0.isDeprecated && !$0.address.isLinkLocal }
            ?? candidates.first
    }

    private func isNear(_ own: InterfaceAddress, _ destination: IPAddress) -> Bool {
        own.address.hasSamePrefix(as: destination, length: own.prefixLength)
    }
}

/// The interfaces of this network namespace, read from the kernel.
public enum NetworkInterfaces {
    /// The interfaces of the caller's network namespace, by index. May wait for the kernel; not for a lane.
    public static func list() throws(SystemError) -> [NetworkInterface] {
        // A dump that a change tears is asked for again; under a steady storm of changes the last one must
        // do.
        for _ in 0..<4 {
            if let interfaces = try listOnce() { return interfaces }
        }
        throw SystemError(
            call: "rtnetlink dump", errno: .again, subject: "interfaces",
            hint: "the interfaces change faster than they can be read")
    }

    /// nil if the interfaces changed while they were read.
    private static func listOnce() throws(SystemError) -> [NetworkInterface]? {
        let socket = OwnedDescriptor(
            adopting: try check(linux_route_socket(0), "socket", "NETLINK_ROUTE"))
        guard let links = try dump(socket, RTM_GETLINK), let addresses = try dump(socket, RTM_GETADDR) else {
            return nil
        }
        var interfaces: [NetworkInterface] = []
        for case .link(let link) in links { interfaces.append(NetworkInterface(link: link, addresses: [])) }
        for case .address(let address) in addresses {
            guard let place = interfaces.firstIndex(where: { $0.link.index == address.interfaceIndex }) else {
                return nil
            }
            interfaces[place].addresses.append(address)
        }
        return interfaces.sorted { $0.link.index < $1.link.index }
    }

    private static func dump(
        _ socket: borrowing OwnedDescriptor, _ type: Int
    ) throws(SystemError) -> [NetlinkMessage]? {
        try check(
            linux_route_request_dump(socket.rawValue, UInt16(type), 1), "rtnetlink request", "interfaces")
        var datagram = NetlinkDatagram()
        var all: [NetlinkMessage] = []
        while true {
            switch datagram.receive(from: socket.rawValue, waitMilliseconds: 5000) {
            case .messages(let messages):
                for message in messages {
                    switch message {
                    case .done: return all
                    case .interrupted, .malformed: return nil
                    case .error(let errno):
                        throw SystemError(call: "rtnetlink dump", errno: errno, subject: "interfaces")
                    default: all.append(message)
                    }
                }
            case .lost: return nil
            case .failed(let errno):
                throw SystemError(call: "rtnetlink receive", errno: errno, subject: "interfaces")
            }
        }
    }
}
