import CLinux
import Glibc

/// An address and a TCP port.
public struct SocketAddress: Hashable, BitwiseCopyable, Sendable, CustomStringConvertible {
    public var address: IPAddress
    public var port: UInt16

    public init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// "10.0.0.1", "10.0.0.1:3260", "fe80::1%eth1", "[::1]", "[::1]:3260"; nil for anything else. An IPv6
    /// address with a port needs the brackets (RFC 3986 §3.2.2).
    public init?(parsing text: some StringProtocol, defaultPort: UInt16) {
        let host: String
        let portText: String?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = String(text[text.index(after: text.startIndex)..<end])
            guard host.contains(":") else { return nil }
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            portText = rest.isEmpty ? nil : String(rest.dropFirst())
        } else if let colon = text.firstIndex(of: ":"), text.lastIndex(of: ":") == colon {
            host = String(text[..<colon])
            portText = String(text[text.index(after: colon)...])
        } else {
            host = String(text)
            portText = nil
        }
        guard let address = IPAddress(parsing: host) else { return nil }
        var port = defaultPort
        if let portText {
            guard let number = Self.port(portText) else { return nil }
            port = number
        }
        self.init(address, port: port)
    }

    /// A decimal port, 1 to 65535, without sign or white space.
    static func port(_ text: some StringProtocol) -> UInt16? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = UInt16(text),
            port > 0
        else { return nil }
        return port
    }

    public var description: String {
        switch address.family {
        case .v4: "\(address):\(port)"
        case .v6: "[\(address)]:\(port)"
        }
    }

    /// The form that the kernel reads, and its length.
    var kernelForm: (storage: sockaddr_storage, length: socklen_t) {
        var storage = sockaddr_storage()
        switch address.family {
        case .v4:
            var form = sockaddr_in()
            form.sin_family = sa_family_t(AF_INET)
            form.sin_port = port.bigEndian
            form.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.low).bigEndian
            unsafe withUnsafeMutableBytes(of: &storage) {
                unsafe $0.storeBytes(of: form, as: sockaddr_in.self)
            }
            return (storage, socklen_t(MemoryLayout<sockaddr_in>.size))
        case .v6:
            var form = sockaddr_in6()
            form.sin6_family = sa_family_t(AF_INET6)
            form.sin6_port = port.bigEndian
            form.sin6_scope_id = address.scope
            unsafe withUnsafeMutableBytes(of: &form.sin6_addr) {
                unsafe $0.storeBytes(of: address.high.bigEndian, as: UInt64.self)
                unsafe $0.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            unsafe withUnsafeMutableBytes(of: &storage) {
                unsafe $0.storeBytes(of: form, as: sockaddr_in6.self)
            }
            return (storage, socklen_t(MemoryLayout<sockaddr_in6>.size))
        }
    }

    /// nil for any other address family.
    init?(kernelForm storage: sockaddr_storage) {
        switch Int32(storage.ss_family) {
        case AF_INET:
            let form = unsafe withUnsafeBytes(of: storage) { unsafe $0.load(as: sockaddr_in.self) }
            self.init(
                IPAddress(v4: UInt32(bigEndian: form.sin_addr.s_addr)), port: UInt16(bigEndian: form.sin_port)
            )
        case AF_INET6:
            let form = unsafe withUnsafeBytes(of: storage) { unsafe $0.load(as: sockaddr_in6.self) }
            let (high, low) = unsafe withUnsafeBytes(of: form.sin6_addr) {
                unsafe (
                    UInt64(bigEndian: $0.load(as: UInt64.self)),
                    UInt64(bigEndian: $0.load(fromByteOffset: 8, as: UInt64.self))
                )
            }
            self.init(
                IPAddress(v6High: high, low: low, scope: form.sin6_scope_id),
                port: UInt16(bigEndian: form.sin6_port))
        default:
            return nil
        }
    }
}
