/// Round-robin over the paths of a mask: whose turn it is, and for how long.
struct PathTurn: BitwiseCopyable {
    /// The ordinal whose turn it is.
    private(set) var cursor: Int32 = 0
    /// What is left of its turn.
    private var left: Int32 = 0
    private var length: Int32 = 1
    /// What a command takes of a turn at least.
    private var leastCost: Int32 = 1
    /// All ones where bytes count, otherwise zero.
    private var byteMask: Int32 = 0

    init(_ policy: PathPolicy.RoundRobin = .standard) {
        switch (policy.commands, policy.bytes) {
        case (let commands?, let bytes?):
            // In bytes; a small command takes its share of the commands.
            length = bytes
            leastCost = max((bytes &+ commands &- 1) / commands, 1)
            byteMask = -1
        case (nil, let bytes?):
            length = bytes
            byteMask = -1
        case (let commands, nil):
            length = commands ?? 1
        }
    }

    /// Where to look first.
    @inline(__always)
    var start: Int32 { left > 0 ? cursor : (cursor &+ 1) & 31 }

    /// The first ordinal of a mask that is not empty at or after `start`, going round.
    @inline(__always)
    static func first(of mask: UInt32, from start: Int32) -> Int32 {
        let ahead = mask &>> UInt32(truncatingIfNeeded: start)
        return ahead != 0
            ? start &+ Int32(truncatingIfNeeded: ahead.trailingZeroBitCount)
            : Int32(truncatingIfNeeded: mask.trailingZeroBitCount)
    }

    /// A command of so many bytes went to a path.
    @inline(__always)
    mutating func took(_ ordinal: Int32, bytes: Int32) {
        if ordinal != cursor || left <= 0 { left = length }
        cursor = ordinal
        left &-= max(leastCost, bytes & byteMask)
    }
}
