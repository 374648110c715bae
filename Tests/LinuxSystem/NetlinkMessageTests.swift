import Testing

@testable import LinuxSystem

/// Messages written out by hand from linux/netlink.h, rtnetlink.h, if_link.h and if_addr.h, for a
/// little-endian machine.
@Suite(.enabled(if: 1.littleEndian == 1, "the messages are written out for a little-endian machine"))
struct NetlinkMessageTests {
    static let newLink: [UInt8] = [
        0x44, 0, 0, 0, 0x10, 0, 0, 0,  // nlmsg_len 68, RTM_NEWLINK, no flags
        0, 0, 0, 0, 0, 0, 0, 0,  // nlmsg_seq, nlmsg_pid
        0, 0, 1, 0, 7, 0, 0, 0,  // AF_UNSPEC, ARPHRD_ETHER, ifi_index 7
        0x43, 0x10, 1, 0, 0, 0, 0, 0,  // IFF_UP BROADCAST RUNNING MULTICAST LOWER_UP, ifi_change
        9, 0, 3, 0, 0x65, 0x74, 0x68, 0x31, 0, 0, 0, 0,  // IFLA_IFNAME "eth1" and padding
        8, 0, 4, 0, 0x28, 0x23, 0, 0,  // IFLA_MTU 9000
        5, 0, 33, 0, 1, 0, 0, 0,  // IFLA_CARRIER 1 and padding
        8, 0, 99, 0x80, 0, 0, 0, 0,  // an attribute that nobody knows, nested
    ]

    static let newAddress: [UInt8] = [
        0x30, 0, 0, 0, 0x14, 0, 0, 0,  // nlmsg_len 48, RTM_NEWADDR
        0, 0, 0, 0, 0, 0, 0, 0,  // nlmsg_seq, nlmsg_pid
        2, 24, 0x80, 0, 7, 0, 0, 0,  // AF_INET, prefix 24, IFA_F_PERMANENT, RT_SCOPE_UNIVERSE, ifa_index 7
        8, 0, 1, 0, 10, 0, 9, 2,  // IFA_ADDRESS 10.0.9.2, the peer
        8, 0, 2, 0, 10, 0, 9, 1,  // IFA_LOCAL 10.0.9.1
        8, 0, 8, 0, 0xc0, 0, 0, 0,  // IFA_FLAGS: PERMANENT, TENTATIVE
    ]

    static func parse(_ bytes: [UInt8]) -> [NetlinkMessage] { NetlinkMessage.parse(bytes.span.bytes) }

    static var link: NetworkLink { NetworkLink(index: 7, name: "eth1", flags: 0x1_1043, mtu: 9000) }

    @Test func readsALink() {
        #expect(Self.parse(Self.newLink) == [.link(Self.link)])
        #expect(Self.link.isUp && Self.link.isRunning && Self.link.hasCarrier && !Self.link.isLoopback)
        var removed = Self.newLink
        removed[4] = 0x11  // RTM_DELLINK
        #expect(Self.parse(removed) == [.linkRemoved(Self.link)])
    }

    @Test func carrierIsTheAttributesWord() {
        var noCarrier = Self.newLink
        noCarrier[56] = 0
        var link = Self.link
        link.hasCarrier = false
        #expect(Self.parse(noCarrier) == [.link(link)])
        var down = Self.newLink
        down[24] = 0x42  // without IFF_UP
        link.isUp = false
        #expect(Self.parse(down) == [.link(link)])
    }

    @Test func aBridgesViewIsNotALink() {
        var bridge = Self.newLink
        bridge[16] = 7  // AF_BRIDGE
        #expect(Self.parse(bridge) == [.other])
    }

    @Test func readsAnAddress() {
        let expected = InterfaceAddress(
            interfaceIndex: 7, address: IPAddress(v4: 0x0a00_0901), prefixLength: 24, scope: .global,
            isTentative: true, isDuplicate: false, isDeprecated: false)
        #expect(Self.parse(Self.newAddress) == [.address(expected)])
        #expect(Self.parse(Self.newAddress + Self.newLink) == [.address(expected), .link(Self.link)])
    }

    @Test func readsALinkLocalAddressWithItsLink() {
        let bytes: [UInt8] = [
            0x2c, 0, 0, 0, 0x15, 0, 0, 0,  // nlmsg_len 44, RTM_DELADDR
            0, 0, 0, 0, 0, 0, 0, 0,  // nlmsg_seq, nlmsg_pid
            // AF_INET6, prefix 64, IFA_F_PERMANENT, RT_SCOPE_LINK, ifa_index 7
            10, 64, 0x80, 253, 7, 0, 0, 0,
            20, 0, 1, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,  // IFA_ADDRESS fe80::9
        ]
        let address = IPAddress(v6High: 0xfe80_0000_0000_0000, low: 9, scope: 7)
        #expect(
            Self.parse(bytes) == [
                .addressRemoved(
                    InterfaceAddress(
                        interfaceIndex: 7, address: address, prefixLength: 64, scope: .link,
                        isTentative: false,
                        isDuplicate: false, isDeprecated: false))
            ])
    }

    @Test func readsTheEndOfADumpAndErrors() {
        func message(_ type: UInt8, flags: UInt8 = 0, _ body: [UInt8]) -> [UInt8] {
            [UInt8(16 + body.count), 0, 0, 0, type, 0, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0] + body
        }
        #expect(Self.parse(message(3, [0, 0, 0, 0])) == [.done])
        #expect(Self.parse(message(3, flags: 0x10, [0, 0, 0, 0])) == [.interrupted, .done])
        #expect(Self.parse(message(4, [])) == [.interrupted])
        #expect(Self.parse(message(2, [0xed, 0xff, 0xff, 0xff])) == [.error(.noSuchDevice)])
        #expect(Self.parse(message(2, [0, 0, 0, 0])) == [.other])
        #expect(Self.parse(message(2, [0, 0, 0, 0x80])) == [.error(Errno(rawValue: .max))])
        #expect(Self.parse(message(2, [1, 2])) == [.malformed])
        #expect(Self.parse(message(1, [])) == [.other])
    }

    /// Whatever the lengths say, nothing is read beyond the end and nothing is repeated for ever.
    @Test func damagedMessagesAreSurvived() {
        for whole in [Self.newLink, Self.newAddress] {
            for count in 1..<whole.count { #expect(Self.parse(Array(whole[..<count])).last == .malformed) }
            for place in whole.indices {
                for value: UInt8 in [0, 1, 3, 4, 5, 0x7f, 0x80, 0xff] {
                    var damaged = whole
                    damaged[place] = value
                    #expect(Self.parse(damaged).count <= 4)
                }
            }
        }
        #expect(Self.parse([]) == [])
    }
}
