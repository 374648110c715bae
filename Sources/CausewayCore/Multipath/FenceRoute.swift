/// Which way a lost session's reinstatement goes next. Any reachable portal of the same portal group will do
/// (RFC 7143 §6.3.5), so a living sibling's route comes first: it is known to work.
struct FenceRoute: BitwiseCopyable {
    /// - Parameters:
    ///   - attempt: how many attempts were made since the session was lost.
    ///   - siblings: ordinals of paths that are up, as a mask.
    ///   - own: the ordinal of the lost path.
    ///   - owesFence: whether writes wait for it; without, only the path's own route is of use.
    /// - Returns: the ordinal of the path whose route to take.
    static func choose(attempt: Int, siblings: UInt32, own: Int32, owesFence: Bool) -> Int32 {
        let others = siblings & ~(1 &<< UInt32(own))
        guard owesFence, others != 0 else { return own }
        // Every sibling once, then the own route, and round again.
        let turn = attempt % (others.nonzeroBitCount + 1)
        if turn == others.nonzeroBitCount { return own }
        var rest = others
        for _ in 0..<turn { rest &= rest &- 1 }
        return Int32(rest.trailingZeroBitCount)
    }
}
