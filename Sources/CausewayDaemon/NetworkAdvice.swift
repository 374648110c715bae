import LinuxSystem

/// Settings of the kernel that get in the way of several interfaces in one subnet.
///
/// The kernel regards addresses as the machine's, not the interface's: with `arp_ignore` at 0 any interface
/// answers for the address of any other, and replies come in where the connection is not bound. With
/// `arp_announce` below 2 an interface asks with another's address, and whoever is asked takes its
/// hardware address for that one's. And where the reverse path is filtered strictly, a packet is dropped
/// unless the route back leads through the interface that it came in by, which is true of one interface of a
/// subnet only.
enum NetworkAdvice {
    /// - Parameters:
    ///   - interfaces: bound interfaces by portal: those whose subnet it is in.
    ///   - setting: the content of `/proc/sys/net/ipv4/conf/INTERFACE/NAME`.
    static func warnings(
        sharing interfaces: [String], setting: (_ interface: String, _ name: String) -> Int?
    ) -> [String] {
        guard interfaces.count > 1 else { return [] }
        var warnings: [String] = []
        func inForce(_ name: String, _ key: String) -> Int {
            // The stronger of the two is in force.
            max(setting("all", key) ?? 0, setting(name, key) ?? 0)
        }
        for name in interfaces {
            // 2 only asks for some route back.
            if inForce(name, "rp_filter") == 1 {
                warnings.append(
                    "\(name) shares a subnet with another bound interface, and the kernel drops replies "
                        + "on it: set net.ipv4.conf.\(name).rp_filter=2")
            }
            if inForce(name, "arp_ignore") == 0 {
                warnings.append(
                    "\(name) shares a subnet with another bound interface, and the kernel answers for its "
                        + "address on the other: set net.ipv4.conf.\(name).arp_ignore=1")
            }
            if inForce(name, "arp_announce") < 2 {
                warnings.append(
                    "\(name) shares a subnet with another bound interface, and the kernel may ask there with "
                        + "the other's address: set net.ipv4.conf.\(name).arp_announce=2")
            }
        }
        return warnings
    }

    /// Of the kernel as it is now.
    static func warnings(_ wanted: WantedPaths) -> [String] {
        guard wanted.interfaces.count > 1, let present = try? NetworkInterfaces.list() else { return [] }
        let bound = present.filter { wanted.interfaces.contains($0.link.name) }
        var sharing: Set<String> = []
        for portal in wanted.portals where portal.address.family == .v4 {
            let near = bound.filter { interface in
                interface.addresses.contains {
                    $0.address.family == .v4
                        && $0.address.hasSamePrefix(as: portal.address, length: $0.prefixLength)
                }
            }
            if near.count > 1 { sharing.formUnion(near.map(\.link.name)) }
        }
        return warnings(sharing: wanted.interfaces.filter(sharing.contains)) { interface, name in
            let text = try? SmallFile.read("/proc/sys/net/ipv4/conf/\(interface)/\(name)")
            return text.flatMap { Int($0.filter { $0 != "\n" }) }
        }
    }
}
