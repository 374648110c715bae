/// A 64-bit hash that gives the same value on every machine and in every release (SipHash-2-4, Aumasson and
/// Bernstein 2012): session identifiers are made of it, and a restart must find the same ones.
///
/// Strings are preceded by their length, so that the parts ("ab", "c") and ("a", "bc") differ.
public struct StableHash: BitwiseCopyable, Sendable {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64
    /// Bytes of an unfinished word, the first in the lowest bits.
    private var tail: UInt64 = 0
    private var byteCount: UInt64 = 0

    /// The keys set purposes apart: the same parts under another key give an unrelated value.
    public init(key0: UInt64 = 0, key1: UInt64 = 0) {
        v0 = key0 ^ 0x736f_6d65_7073_6575
        v1 = key1 ^ 0x646f_7261_6e64_6f6d
        v2 = key0 ^ 0x6c79_6765_6e65_7261
        v3 = key1 ^ 0x7465_6462_7974_6573
    }

    public mutating func append(byte: UInt8) {
        tail |= UInt64(byte) << (8 &* (byteCount & 7))
        byteCount &+= 1
        if byteCount & 7 == 0 {
            compress(tail)
            tail = 0
        }
    }

    /// Eight bytes, the lowest first.
    public mutating func append(_ number: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            append(byte: UInt8(truncatingIfNeeded: number >> shift))
        }
    }

    /// The length in bytes and then the UTF-8 of the string.
    public mutating func append(_ string: some StringProtocol) {
        append(UInt64(string.utf8.count))
        for byte in string.utf8 { append(byte: byte) }
    }

    /// The hash of everything appended so far; more may be appended afterwards.
    public func value() -> UInt64 {
        var last = self
        last.compress(tail | byteCount << 56)
        last.v2 ^= 0xff
        for _ in 0..<4 { last.round() }
        return last.v0 ^ last.v1 ^ last.v2 ^ last.v3
    }

    private mutating func compress(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    private mutating func round() {
        v0 &+= v1
        v1 = v1 << 13 | v1 >> 51
        v1 ^= v0
        v0 = v0 << 32 | v0 >> 32
        v2 &+= v3
        v3 = v3 << 16 | v3 >> 48
        v3 ^= v2
        v0 &+= v3
        v3 = v3 << 21 | v3 >> 43
        v3 ^= v0
        v2 &+= v1
        v1 = v1 << 17 | v1 >> 47
        v1 ^= v2
        v2 = v2 << 32 | v2 >> 32
    }
}
