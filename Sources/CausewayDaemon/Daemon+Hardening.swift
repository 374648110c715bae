import LinuxSystem

extension Daemon {
    /// Makes the process fit to sit under a file system. Before any thread exists: PR_SET_IO_FLUSHER is
    /// inherited by threads, not shared.
    static func harden() -> [HardeningOutcome] {
        [
            ProcessHardening.becomeIOFlusher(), ProcessHardening.setOOMScoreAdjustment(-1000),
            ProcessHardening.raiseOpenFileLimit(to: 65_536), ProcessHardening.lockMemory(),
        ]
    }
}
