/// Which paths of a disk may take its next command, as masks of ordinals. What follows from what happens
/// seldom is kept ready in `candidates`, so that a command only looks there.
struct PathChoice: BitwiseCopyable {
    /// How the next path is found among the candidates.
    enum Rule: UInt8, BitwiseCopyable {
        /// They take turns. Where only one is a candidate at a time, it is `isSingle`.
        case turns
        case leastQueueDepth
        case serviceTime
    }

    var rule = Rule.turns
    /// Up, showed the LUN, and of the best access state.
    var usable: UInt32 = 0 { didSet { usableChanged(from: oldValue) } }
    /// Paths to keep away from while others are left: silent ones and grey ones.
    var suspects: UInt32 = 0 { didSet { choose() } }
    var quarantined: UInt32 = 0 { didSet { choose() } }
    /// One path at a time carries everything: policies fixed and most-recently-used.
    var isSingle = false { didSet { choose() } }
    /// Paths that fit the preference of the policy fixed.
    var favourites: UInt32 = 0 { didSet { choose() } }
    /// Favourites that may take over from a path that works. A lost one has to earn that again.
    private(set) var settled: UInt32 = 0
    /// Favourites that were lost at least once.
    private var wereLost: UInt32 = 0

    private(set) var candidates: UInt32 = 0

    /// Lets the favourites that are usable now take over.
    mutating func settle() {
        settled = usable & favourites
        choose()
    }

    /// A path came up. Returns whether it is a favourite that was lost before and has to wait now.
    mutating func joined(_ ordinal: Int32) -> Bool {
        let bit: UInt32 = 1 &<< UInt32(truncatingIfNeeded: ordinal)
        guard favourites & bit != 0, settled & bit == 0 else { return false }
        if wereLost & bit != 0 { return true }
        settled |= bit
        choose()
        return false
    }

    /// The path is no more; its ordinal may soon be another's.
    mutating func forget(_ ordinal: Int32) {
        let bit: UInt32 = 1 &<< UInt32(truncatingIfNeeded: ordinal)
        usable &= ~bit
        favourites &= ~bit
        wereLost &= ~bit
        suspects &= ~bit
        quarantined &= ~bit
    }

    private mutating func usableChanged(from before: UInt32) {
        wereLost |= before & ~usable & favourites
        settled &= usable
        choose()
    }

    private mutating func choose() {
        var fit = usable
        if fit & ~quarantined != 0 { fit &= ~quarantined }
        if fit & ~suspects != 0 { fit &= ~suspects }
        guard isSingle else {
            candidates = fit
            return
        }
        let present = candidates & fit
        let wanted = fit & settled & favourites
        if wanted != 0 {
            candidates = Self.one(of: present & wanted, else: wanted)
        } else {
            candidates = Self.one(of: present, else: fit & favourites != 0 ? fit & favourites : fit)
        }
    }

    private static func one(of mask: UInt32, else other: UInt32) -> UInt32 {
        let mask = mask != 0 ? mask : other
        return mask & (0 &- mask)
    }
}
