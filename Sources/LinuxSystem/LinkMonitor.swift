import CLinux

/// What happened to a network interface.
public enum LinkEvent: Equatable, Sendable {
    /// The whole state of the interface, which is new or changed in some way (carrier, up or down, name,
    /// MTU), or not.
    case linkChanged(NetworkLink)
    case linkRemoved(NetworkLink)
    /// Also when its flags change: duplicate address detection ended.
    case addressAdded(InterfaceAddress)
    case addressRemoved(InterfaceAddress)
    /// Events were lost: read everything again with `NetworkInterfaces.list`.
    case resyncNeeded
}

/// The kernel's announcements of changes to interfaces and their addresses (rtnetlink(7)), in the network
/// namespace of the thread that made it.
///
/// Make the monitor first and list the interfaces afterwards: then no change falls between the two. The
/// kernel holds back carrier changes that follow each other within a second; the first one comes at once.
public struct LinkMonitor: ~Copyable {
    private let socket: OwnedDescriptor
    private var datagram = NetlinkDatagram()

    public init() throws(SystemError) {
        let groups = UInt32(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR)
        socket = OwnedDescriptor(
            adopting: try check(linux_route_socket(groups), "socket", "NETLINK_ROUTE"))
    }

    /// For `Poller.add(_:slot:for: [.readable])`.
    public var descriptor: Int32 { socket.rawValue }

    /// Everything announced since the last call, at most 64 datagrams of it; empty when there is nothing
    /// more.
    public mutating func readEvents() throws(SystemError) -> [LinkEvent] {
        var events: [LinkEvent] = []
        for _ in 0..<64 {
            switch datagram.receive(from: socket.rawValue) {
            case .messages(let messages):
                for message in messages {
                    if let event = Self.event(message) { events.append(event) }
                }
            case .lost:
                events.append(.resyncNeeded)
            case .failed(.again):
                return events
            case .failed(let errno):
                throw SystemError(call: "rtnetlink receive", errno: errno, subject: "link events")
            }
        }
        return events
    }

    private static func event(_ message: NetlinkMessage) -> LinkEvent? {
        switch message {
        case .link(let link): .linkChanged(link)
        case .linkRemoved(let link): .linkRemoved(link)
        case .address(let address): .addressAdded(address)
        case .addressRemoved(let address): .addressRemoved(address)
        case .interrupted, .malformed, .error: .resyncNeeded
        case .done, .other: nil
        }
    }
}
