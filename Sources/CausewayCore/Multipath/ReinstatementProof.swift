/// What a login with the ISID of a lost session proves about the writes that this session had sent.
enum ReinstatementProof: BitwiseCopyable {
    /// It may return while they still run in the target's backend (tgt does so): the barrier has to follow.
    case needsBarrier
    /// It returns only after they have ended.
    ///
    /// The Linux kernel's target (LIO) waits for them, also when the first such login was given up meanwhile:
    /// it answers every other with 0301 as long. And an ORDERED command must not be sent to it: it forgets to
    /// count off SIMPLE commands that were stopped or aborted, by whichever initiator, and then an ORDERED
    /// command waits for them for ever, and every later command of all initiators behind it (seen with Linux
    /// 6.1).
    case waitsForTasks

    /// - Parameters:
    ///   - targetAlias: as the login has shown it; LIO's is set by hardly anyone.
    ///   - vendor: of a LUN of this target, if one has been seen; vendors of appliances change it.
    init(targetAlias: String?, vendor: String?) {
        self = targetAlias == "LIO Target" || vendor == "LIO-ORG" ? .waitsForTasks : .needsBarrier
    }
}
