/// How long a path's answers took lately: counts by powers of two, one row for each kind of command, for a
/// small read says nothing of a large write.
///
/// A count that reaches its limit halves its row, and `age` halves all of them, so that the past fades.
struct LatencyHistory: BitwiseCopyable {
    static let rowCount = 5

    /// Bucket b holds what took less than 2^(14+b) ns: 16 us to 2 minutes.
    private static let shift: UInt64 = 14
    private static let bucketCount = 24
    private static let limit: UInt16 = 4096

    private var counts = [120 of UInt16](repeating: 0)

    @inline(__always)
    mutating func note(_ nanoseconds: UInt64, row: Int) {
        let octave = 64 &- (nanoseconds &>> Self.shift).leadingZeroBitCount
        let at = row &* Self.bucketCount &+ min(octave, Self.bucketCount &- 1)
        counts[at] &+= 1
        if counts[at] == Self.limit { halve(row) }
    }

    @inline(never)
    private mutating func halve(_ row: Int) {
        for bucket in 0..<Self.bucketCount { counts[row * Self.bucketCount + bucket] /= 2 }
    }

    /// Lets the past fade; what was seen once is forgotten.
    mutating func age() {
        for row in 0..<Self.rowCount { halve(row) }
    }

    private func total(_ row: Int) -> Int {
        var total = 0
        for bucket in 0..<Self.bucketCount { total += Int(counts[row * Self.bucketCount + bucket]) }
        return total
    }

    /// Nanoseconds that no more than one of `oneOf` answers exceeded, rounded up to a power of two; nil while
    /// there are too few to tell.
    func bound(row: Int, oneOf: Int) -> UInt64? {
        let total = total(row)
        guard total >= 8 else { return nil }
        var left = total / oneOf
        var bucket = Self.bucketCount - 1
        while bucket > 0 {
            left -= Int(counts[row * Self.bucketCount + bucket])
            if left < 0 { break }
            bucket -= 1
        }
        return 1 << (UInt64(bucket) + Self.shift)
    }

    /// The 99th percentile of reads and writes together, nanoseconds, rounded up to a power of two; nil while
    /// there are too few to tell.
    var percentile99: UInt64? {
        var sum = 0
        for row in 0..<4 { sum += total(row) }
        guard sum >= 100 else { return nil }
        var left = sum / 100
        var bucket = Self.bucketCount - 1
        while bucket > 0 {
            for row in 0..<4 { left -= Int(counts[row * Self.bucketCount + bucket]) }
            if left < 0 { break }
            bucket -= 1
        }
        return 1 << (UInt64(bucket) + Self.shift)
    }
}
