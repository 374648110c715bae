/// Where a portal listens: a host (name, IPv4 or IPv6 address without brackets) and a TCP port.
public struct PortalAddress: Hashable, Sendable, CustomStringConvertible {
    /// RFC 7143 §14.
    public static let defaultPort: UInt16 = 3260
    /// The longest host name (RFC 1035 §2.3.4).
    public static let maximumHostLength = 255

    public let host: String
    public let port: UInt16

    public init(host: String, port: UInt16 = PortalAddress.defaultPort) {
        self.host = host
        self.port = port
    }

    /// Reads `host[:port]`, `[IPv6][:port]`, and a bare IPv6 address; nil when it is none of these.
    /// Characters that occur in no host name are refused, so that the host can go to a resolver or a log as
    /// it is.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        let host: ArraySlice<UInt8>
        let rest: ArraySlice<UInt8>
        if bytes.first == UInt8(ascii: "[") {
            guard let close = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            host = bytes[1..<close]
            rest = bytes[(close + 1)...]
            guard host.contains(UInt8(ascii: ":")), Self.isIPv6(host) else { return nil }
        } else {
            let colons = bytes.count { $0 == UInt8(ascii: ":") }
            // Some targets leave the brackets out; with more than one colon there can be no port then.
            let end = colons == 1 ? bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.count : bytes.count
            host = bytes[..<end]
            rest = bytes[end...]
            guard colons > 1 ? Self.isIPv6(host) : Self.isHostName(host) else { return nil }
        }
        guard !host.isEmpty, host.count <= Self.maximumHostLength else { return nil }
        if rest.isEmpty {
            port = Self.defaultPort
        } else {
            guard rest.first == UInt8(ascii: ":"), let number = UInt16(decimal: rest.dropFirst()), number != 0
            else {
                return nil
            }
            port = number
        }
        self.host = String(decoding: host, as: UTF8.self)
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    private static func isHostName(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
            }
        }
    }

    /// Hexadecimal digits, colons, the dots of a mapped IPv4 address, and a zone after `%`.
    private static func isIPv6(_ bytes: ArraySlice<UInt8>) -> Bool {
        let address = bytes.prefix { $0 != UInt8(ascii: "%") }
        let zone = bytes.dropFirst(address.count)
        let isAddress = address.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".")
            }
        }
        return isAddress && (zone.isEmpty || zone.count > 1 && isHostName(zone.dropFirst()))
    }
}

extension UInt16 {
    /// ASCII decimal digits and nothing else.
    init?(decimal digits: ArraySlice<UInt8>) {
        guard !digits.isEmpty, digits.count <= 5 else { return nil }
        var value = 0
        for digit in digits {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
        }
        self.init(exactly: value)
    }
}
