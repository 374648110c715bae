import CLinux
import Glibc

/// An IPv4 or IPv6 address, with the interface that an IPv6 link-local one belongs to.
public struct IPAddress: Hashable, BitwiseCopyable, Sendable, CustomStringConvertible {
    public enum Family: UInt8, Hashable, BitwiseCopyable, Sendable { case v4, v6 }

    public let family: Family
    /// IPv6: the first eight bytes; IPv4: zero. Host byte order.
    let high: UInt64
    /// IPv6: the last eight bytes; IPv4: the address. Host byte order.
    let low: UInt64
    /// Interface index of a link-local address (RFC 4007), 0 where none is meant.
    public var scope: UInt32

    public init(v4 address: UInt32) {
        family = .v4
        high = 0
        low = UInt64(address)
        scope = 0
    }

    public init(v6High high: UInt64, low: UInt64, scope: UInt32 = 0) {
        family = .v6
        self.high = high
        self.low = low
        self.scope = scope
    }

    /// "10.0.0.1", "fe80::1%eth1", "fe80::1%3"; nil for anything else, host names included, and for a zone
    /// that is neither an interface of this machine nor a number.
    public init?(parsing text: some StringProtocol) {
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        let digits = String(parts[0])
        guard !digits.utf8.contains(0) else { return nil }
        if parts.count == 1 {
            var v4 = in_addr()
            if unsafe inet_pton(AF_INET, digits, &v4) == 1 {
                self.init(v4: UInt32(bigEndian: v4.s_addr))
                return
            }
        }
        var words: (UInt64, UInt64) = (0, 0)
        guard unsafe inet_pton(AF_INET6, digits, &words) == 1 else { return nil }
        var scope: UInt32 = 0
        if parts.count == 2 {
            let zone = String(parts[1])
            guard !zone.isEmpty, !zone.utf8.contains(0) else { return nil }
            scope = unsafe if_nametoindex(zone)
            if scope == 0 {
                guard let number = UInt32(zone), number > 0 else { return nil }
                scope = number
            }
        }
        self.init(v6High: UInt64(bigEndian: words.0), low: UInt64(bigEndian: words.1), scope: scope)
    }

    public var isLinkLocal: Bool {
        switch family {
        case .v4: low >> 16 == 0xa9fe
        case .v6: high >> 54 == 0xfe80 >> 6
        }
    }

    public var isLoopback: Bool {
        switch family {
        case .v4: low >> 24 == 127
        case .v6: high == 0 && low == 1
        }
    }

    /// 0.0.0.0 or ::
    public var isUnspecified: Bool { high == 0 && low == 0 }

    /// Whether the first `length` bits of both addresses are the same.
    public func hasSamePrefix(as other: IPAddress, length: Int) -> Bool {
        guard family == other.family else { return false }
        switch family {
        case .v4:
            return Self.agree(low << 32, other.low << 32, bits: min(length, 32))
        case .v6:
            return Self.agree(high, other.high, bits: min(length, 64))
                && Self.agree(low, other.low, bits: min(length, 128) - 64)
        }
    }

    private static func agree(_ a: UInt64, _ b: UInt64, bits: Int) -> Bool {
        bits <= 0 || (a ^ b) >> UInt64(64 - bits) == 0
    }

    public var description: String {
        switch family {
        case .v4:
            return "\(low >> 24).\(low >> 16 & 0xff).\(low >> 8 & 0xff).\(low & 0xff)"
        case .v6:
            var words = (high.bigEndian, low.bigEndian)
            let text = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
                guard let text = buffer.baseAddress,
                    unsafe inet_ntop(AF_INET6, &words, text, 64) != nil
                else { return "" }
                return unsafe String(cString: text)
            }
            return scope == 0 ? text : "\(text)%\(Self.zone(scope))"
        }
    }

    private static func zone(_ index: UInt32) -> String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(IF_NAMESIZE)) { buffer in
            guard let name = buffer.baseAddress, unsafe if_indextoname(index, name) != nil else {
                return String(index)
            }
            return unsafe String(cString: name)
        }
    }
}
