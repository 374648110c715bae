/// One stream of pseudo-random numbers (xoshiro256**, seeded by splitmix64). Every concern of a world draws
/// from a stream of its own, so that a change in one does not shift the history of the others.
public final class RandomStream {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// - Parameter name: the concern.
    public init(seed: UInt64, _ name: String) {
        var mix = seed
        for byte in name.utf8 { mix = (mix ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        func next() -> UInt64 {
            mix &+= 0x9e37_79b9_7f4a_7c15
            var z = mix
            z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
            return z ^ z >> 31
        }
        state = (next(), next(), next(), next())
    }

    public func next() -> UInt64 {
        let product = state.1 &* 5
        let result = (product << 7 | product >> 57) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = state.3 << 45 | state.3 >> 19
        return result
    }

    /// 0 to `count - 1`.
    public func below(_ count: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(count)).high) }

    public func number(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

    public func nanoseconds(_ range: ClosedRange<UInt64>) -> UInt64 {
        let span = range.upperBound - range.lowerBound
        return range.lowerBound + (span == 0 ? 0 : next() % (span + 1))
    }

    /// True in so many of a thousand cases.
    public func chance(_ permille: Int) -> Bool { permille > 0 && below(1000) < permille }

    public func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }
}
