import CausewayCore
import LinuxSystem

/// What sets the sessions of this machine and network namespace apart from all others, and so their ISIDs.
///
/// The same parts give the same ISID after a restart, so that a new login reinstates the session that was
/// lost, and other parts another one (RFC 7143 §10.1.1).
struct SessionIdentity: Hashable, Sendable {
    /// Empty where the machine has none: the ISIDs are then only unique among those of its initiator name.
    var machineID: String
    /// Inode of the network namespace.
    var networkNamespace: UInt64

    /// What a session is for: sessions for different ends never reinstate each other.
    private enum Purpose: UInt64 {
        case data, discovery, connections
    }

    static func ofThisMachine() -> SessionIdentity {
        SessionIdentity(
            machineID: (try? MachineIdentity.machineID()) ?? "",
            networkNamespace: (try? MachineIdentity.networkNamespace()) ?? 0)
    }

    /// The ISID of a path's session. `lane` counts the lanes of one target, which the queues of its disks are
    /// spread over: it is the same after a restart, whichever threads these are.
    func isid(interface: String?, portal: SocketAddress, lane: Int) -> InitiatorSessionID {
        isid(.data, interface, portal, UInt64(lane))
    }

    /// The ISID of a session on one of a target's lanes whose connections are the paths to a portal group.
    func isid(lane: Int) -> InitiatorSessionID {
        var hash = StableHash(key0: 0x4953_4944)
        hash.append(Purpose.connections.rawValue)
        hash.append(machineID)
        hash.append(networkNamespace)
        hash.append(UInt64(lane))
        return InitiatorSessionID(hash: hash.value())
    }

    /// The ISID of a path's session: its own, or the one that it shares.
    func isid(
        _ multipathing: Multipathing, interface: String?, portal: SocketAddress, lane: Int
    ) -> InitiatorSessionID {
        switch multipathing {
        case .sessions: isid(interface: interface, portal: portal, lane: lane)
        case .connections: isid(lane: lane)
        }
    }

    /// The ISID of a session that only looks what there is. `slot` tells discoveries apart that run at the
    /// same time.
    func discoveryISID(interface: String?, portal: SocketAddress, slot: Int) -> InitiatorSessionID {
        isid(.discovery, interface, portal, UInt64(slot))
    }

    private func isid(
        _ purpose: Purpose, _ interface: String?, _ portal: SocketAddress, _ ordinal: UInt64
    ) -> InitiatorSessionID {
        var hash = StableHash(key0: 0x4953_4944)
        hash.append(purpose.rawValue)
        hash.append(machineID)
        hash.append(networkNamespace)
        hash.append(interface ?? "-")
        hash.append("\(portal)")
        hash.append(ordinal)
        return InitiatorSessionID(hash: hash.value())
    }
}
