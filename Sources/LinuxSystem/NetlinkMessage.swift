import CLinux

/// What Causeway reads of a message of rtnetlink(7). The kernel writes in host byte order.
enum NetlinkMessage: Equatable {
    case link(NetworkLink)
    case linkRemoved(NetworkLink)
    case address(InterfaceAddress)
    case addressRemoved(InterfaceAddress)
    /// The end of a dump.
    case done
    case error(Errno)
    /// Messages were lost on the way, or a dump was torn by a change.
    case interrupted
    /// Not of interest: another type, another protocol's view of a link.
    case other
    /// Shorter than it says; nothing after it can be read.
    case malformed

    /// All the messages of one datagram.
    static func parse(_ datagram: RawSpan) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var offset = 0
        while offset < datagram.byteCount {
            guard let length = datagram.host(offset, UInt32.self).map(Int.init(_:)),
                length >= headerByteCount,
                length <= datagram.byteCount - offset
            else { return messages + [.malformed] }
            messages += parseOne(datagram.extracting(offset..<offset + length))
            offset += aligned(length)
        }
        return messages
    }

    private static let headerByteCount = 16

    private static func aligned(_ length: Int) -> Int { (length + 3) & ~3 }

    private static func parseOne(_ message: RawSpan) -> [NetlinkMessage] {
        guard let type = message.host(4, UInt16.self), let flags = message.host(6, UInt16.self) else {
            return [.malformed]
        }
        let torn: [NetlinkMessage] = flags & UInt16(NLM_F_DUMP_INTR) != 0 ? [.interrupted] : []
        let body = message.extracting(headerByteCount...)
        switch Int(type) {
        case RTM_NEWLINK: return torn + [link(body, { .link($0) })]
        case RTM_DELLINK: return torn + [link(body, { .linkRemoved($0) })]
        case RTM_NEWADDR: return torn + [address(body, { .address($0) })]
        case RTM_DELADDR: return torn + [address(body, { .addressRemoved($0) })]
        case Int(NLMSG_DONE): return torn + [.done]
        case Int(NLMSG_OVERRUN): return torn + [.interrupted]
        case Int(NLMSG_ERROR):
            guard let number = body.host(0, Int32.self) else { return [.malformed] }
            return number == 0 ? [.other] : [.error(Errno(rawValue: number == .min ? .max : abs(number)))]
        default: return torn + [.other]
        }
    }

    /// struct ifinfomsg and its attributes (IFLA_…).
    private static func link(_ body: RawSpan, _ make: (NetworkLink) -> NetlinkMessage) -> NetlinkMessage {
        guard body.byteCount >= 16, let family = body.host(0, UInt8.self),
            let index = body.host(4, UInt32.self),
            let flags = body.host(8, UInt32.self)
        else { return .malformed }
        // A bridge tells of its ports in the same words: one that leaves the bridge has not left the machine.
        guard family == UInt8(AF_UNSPEC) else { return .other }
        var link = NetworkLink(index: index, name: "", flags: flags)
        let complete = forEachAttribute(body.extracting(16...)) { type, value in
            switch type {
            case IFLA_IFNAME: link.name = value.text
            case IFLA_MTU: link.mtu = value.host(0, UInt32.self).map(Int.init(_:)) ?? 0
            case IFLA_CARRIER:
                // Written for an interface that is down as well, where it says nothing.
                if let carrier = value.host(0, UInt8.self) { link.hasCarrier = link.isUp && carrier != 0 }
            default: break
            }
        }
        return complete ? make(link) : .malformed
    }

    /// struct ifaddrmsg and its attributes (IFA_…).
    private static func address(_ body: RawSpan, _ make: (InterfaceAddress) -> NetlinkMessage)
        -> NetlinkMessage
    {
        guard body.byteCount >= 8, let family = body.host(0, UInt8.self),
            let prefix = body.host(1, UInt8.self),
            var flags = body.host(2, UInt8.self).map(UInt32.init(_:)), let scope = body.host(3, UInt8.self),
            let index = body.host(4, UInt32.self)
        else { return .malformed }
        var local: IPAddress?
        var peer: IPAddress?
        let complete = forEachAttribute(body.extracting(8...)) { type, value in
            switch type {
            // On a point-to-point link IFA_ADDRESS is the other side, and IFA_LOCAL ours.
            case IFA_LOCAL: local = ipAddress(value, family, index)
            case IFA_ADDRESS: peer = ipAddress(value, family, index)
            case IFA_FLAGS: flags = value.host(0, UInt32.self) ?? flags
            default: break
            }
        }
        guard complete else { return .malformed }
        guard let own = local ?? peer else { return .other }
        return make(
            InterfaceAddress(
                interfaceIndex: index, address: own, prefixLength: Int(prefix),
                scope: AddressScope(rawValue: scope),
                isTentative: flags & UInt32(IFA_F_TENTATIVE) != 0 && flags & UInt32(IFA_F_OPTIMISTIC) == 0,
                isDuplicate: flags & UInt32(IFA_F_DADFAILED) != 0,
                isDeprecated: flags & UInt32(IFA_F_DEPRECATED) != 0))
    }

    private static func ipAddress(_ value: RawSpan, _ family: UInt8, _ index: UInt32) -> IPAddress? {
        switch Int32(family) {
        case AF_INET:
            return value.host(0, UInt32.self).map { IPAddress(v4: UInt32(bigEndian: $0)) }
        case AF_INET6:
            guard let high = value.host(0, UInt64.self), let low = value.host(8, UInt64.self) else {
                return nil
            }
            var address = IPAddress(v6High: UInt64(bigEndian: high), low: UInt64(bigEndian: low))
            if address.isLinkLocal { address.scope = index }
            return address
        default:
            return nil
        }
    }

    /// Goes through struct rtattr after struct rtattr; false if one is shorter or longer than it may be.
    private static func forEachAttribute(_ bytes: RawSpan, _ body: (Int, RawSpan) -> Void) -> Bool {
        var offset = 0
        while offset < bytes.byteCount {
            guard let length = bytes.host(offset, UInt16.self).map(Int.init(_:)),
                let type = bytes.host(offset + 2, UInt16.self), length >= 4,
                length <= bytes.byteCount - offset
            else { return false }
            // The two highest bits say "nested" and "network byte order".
            body(Int(type & 0x3fff), bytes.extracting(offset + 4..<offset + length))
            offset += aligned(length)
        }
        return true
    }
}

extension RawSpan {
    /// An integer in host byte order, nil where it would reach over the end.
    fileprivate func host<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _: T.Type) -> T? {
        guard offset >= 0, offset <= byteCount - MemoryLayout<T>.size else { return nil }
        return unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: T.self)
    }

    /// UTF-8 up to the first zero byte.
    fileprivate var text: String {
        var bytes: [UInt8] = []
        for offset in 0..<byteCount {
            guard let byte = host(offset, UInt8.self), byte != 0 else { break }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
