/// Where a portal listens, as people write it: `10.0.0.1`, `10.0.0.1:3261`, `fe80::1%eth1`,
/// `[2001:db8::1]:3260`, `array.example`. The host is not resolved here.
public struct PortalAddress: Hashable, Sendable {
    /// The port when none is written. 860, the other registered port, is used only where it is written.
    public static let defaultPort: UInt16 = 3260

    /// An IPv4 or IPv6 address without brackets, or a host name.
    public let host: String
    public let port: UInt16

    public init(host: String, port: UInt16 = defaultPort) {
        self.host = host
        self.port = port
    }

    public init(parsing text: String) throws(ControlError) {
        guard let (host, port) = Self.split(text), Self.isPlausible(host), let port = Self.number(port),
            port > 0
        else {
            throw .invalidArgument(
                "\"\(text)\" is not the address of a portal",
                remedy: "write ADDRESS, ADDRESS:PORT, or [ADDRESS]:PORT for IPv6")
        }
        self.init(host: String(host), port: port)
    }

    private static func split(_ text: String) -> (host: Substring, port: Substring?)? {
        if text.first == "[" {
            guard let close = text.firstIndex(of: "]") else { return nil }
            let host = text[text.index(after: text.startIndex)..<close]
            let rest = text[text.index(after: close)...]
            guard host.contains(":") else { return nil }
            if rest.isEmpty { return (host, nil) }
            return rest.first == ":" ? (host, rest.dropFirst()) : nil
        }
        guard let colon = text.firstIndex(of: ":") else { return (text[...], nil) }
        // Two colons without brackets can only be an IPv6 address, which has no port then.
        if text[text.index(after: colon)...].contains(":") { return (text[...], nil) }
        return (text[..<colon], text[text.index(after: colon)...])
    }

    private static func isPlausible(_ host: Substring) -> Bool {
        (1...253).contains(host.utf8.count)
            && host.utf8.allSatisfy {
                $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ",")
            }
    }

    private static func number(_ text: Substring?) -> UInt16? {
        guard let text else { return defaultPort }
        // The initialiser of UInt16 would take a sign as well.
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        return UInt16(text)
    }
}

extension PortalAddress: Codable, CustomStringConvertible {
    /// With the port always, and IPv6 in brackets.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    public init(from decoder: any Decoder) throws {
        try self.init(parsing: decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
