/// A 32-bit sequence number that wraps, compared by RFC 1982 as RFC 7143 §4.2.2.1 asks: `a < b` while the
/// distance from `a` to `b` is under 2^31. Each sequence is a type of its own, so that they cannot be mixed
/// up.
public protocol SerialNumber: Equatable, BitwiseCopyable, Sendable, CustomStringConvertible {
    var value: UInt32 { get }
    init(_ value: UInt32)
}

extension SerialNumber {
    @inline(__always)
    public static func < (a: Self, b: Self) -> Bool { Int32(bitPattern: a.value &- b.value) < 0 }
    @inline(__always)
    public static func <= (a: Self, b: Self) -> Bool { Int32(bitPattern: a.value &- b.value) <= 0 }
    @inline(__always)
    public var next: Self { Self(value &+ 1) }
    /// How far `self` is ahead of `other`; negative when it is behind.
    @inline(__always)
    public func distance(from other: Self) -> Int { Int(Int32(bitPattern: value &- other.value)) }
    public var description: String { String(value) }
}

/// Command sequence number, one sequence a session (RFC 7143 §4.2.2.1).
public struct CmdSN: SerialNumber {
    public let value: UInt32
    @inline(__always) public init(_ value: UInt32) { self.value = value }
}

/// Status sequence number, one sequence a connection (RFC 7143 §4.2.2.2).
public struct StatSN: SerialNumber {
    public let value: UInt32
    @inline(__always) public init(_ value: UInt32) { self.value = value }
}
