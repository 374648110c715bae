import CLinux
import Glibc

/// A host name that could not be turned into addresses.
public struct NameError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was asked for.
    public var name: String
    public var reason: String
    /// Whether asking again may help: the name server did not answer.
    public var isTemporary: Bool

    public var description: String {
        let advice =
            isTemporary
            ? "the name server did not answer; check /etc/resolv.conf or give the portal's address"
            : "check the spelling or give the portal's address"
        return "cannot resolve \(name): \(reason); \(advice)"
    }
}

/// Host names to addresses; blocks, so for control threads only.
public enum NameResolver {
    /// Addresses of "host", "host:port", or of anything that `SocketAddress(parsing:defaultPort:)` reads, in
    /// the system's order of preference (RFC 6724), each once.
    ///
    /// Waits for name servers, for many seconds if need be: for the control thread only.
    public static func resolve(_ text: String, defaultPort: UInt16) throws(NameError) -> [SocketAddress] {
        if let address = SocketAddress(parsing: text, defaultPort: defaultPort) { return [address] }
        var host = text[...]
        var port = defaultPort
        if let colon = text.lastIndex(of: ":") {
            guard let number = SocketAddress.port(text[text.index(after: colon)...]) else {
                throw NameError(
                    name: text, reason: "the port is not a number from 1 to 65535", isTemporary: false)
            }
            port = number
            host = text[..<colon]
        }
        guard isHostName(host) else {
            throw NameError(name: text, reason: "not an address and not a host name", isTemporary: false)
        }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_family = AF_UNSPEC
        var list: UnsafeMutablePointer<addrinfo>?
        let result = unsafe getaddrinfo(String(host), nil, &hints, &list)
        guard result == 0 else {
            let reason = unsafe String(cString: gai_strerror(result))
            throw NameError(name: String(host), reason: reason, isTemporary: result == EAI_AGAIN)
        }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var entry = unsafe list
        while let current = unsafe entry {
            if let address = unsafe Self.address(current.pointee, port: port), !addresses.contains(address) {
                addresses.append(address)
            }
            unsafe entry = current.pointee.ai_next
        }
        guard !addresses.isEmpty else {
            throw NameError(name: String(host), reason: "it has no address", isTemporary: false)
        }
        return addresses
    }

    private static func address(_ entry: addrinfo, port: UInt16) -> SocketAddress? {
        let length = unsafe min(Int(entry.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
        guard let bytes = unsafe entry.ai_addr else { return nil }
        var storage = sockaddr_storage()
        unsafe withUnsafeMutableBytes(of: &storage) {
            unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: bytes, count: length))
        }
        var address = SocketAddress(kernelForm: storage)
        address?.port = port
        return address
    }

    /// Letters, digits, "-", "_" and ".", at most 253 of them (RFC 1123 §2.1, and what people do).
    private static func isHostName(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.count <= 253
            && text.unicodeScalars.allSatisfy {
                $0.isASCII
                    && ($0.properties.isAlphabetic || $0.properties.numericType != nil
                        || "-_.".contains(Character($0)))
            }
    }
}
