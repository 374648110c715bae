/// Thin LUNs whose pool is full (7/27/07), with `space = hold`.
extension Lane {
    /// The alarm ends when no write was refused for so long.
    private static var quietMilliseconds: UInt64 { 12_000 }

    /// Keeps a write for which there is no space, and raises an alarm.
    mutating func holdForSpace(_ task: Int32) {
        let cold = disks[Int(tasks[task].disk)]
        if cold.spaceFull == nil {
            tell(.error, cold, "the LUN has no space left (7/27/07): writes are held (space = hold)")
        }
        cold.spaceFull = (since: cold.spaceFull?.since ?? now, refusedAt: now)
        // The retries of another trouble start from here.
        tasks[task].attempts = min(tasks[task].attempts, 5)
        delay(task, milliseconds: min(250 << UInt64(tasks[task].attempts), 5000))
    }

    mutating func tickSpace(_ cold: Disk) {
        guard let full = cold.spaceFull else { return }
        let quiet = full.refusedAt.adding(milliseconds: Self.quietMilliseconds)
        guard quiet <= now else { return wake(at: quiet) }
        cold.spaceFull = nil
        tell(.warning, cold, "the LUN has space again")
    }
}
