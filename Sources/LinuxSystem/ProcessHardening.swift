import CLinux
import Glibc

/// What became of one measure that keeps the daemon alive under its own disks.
public struct HardeningOutcome: Sendable, CustomStringConvertible {
    public enum Result: Hashable, Sendable {
        case done
        /// Something of it was done; the text says what is missing.
        case partly(String)
        case refused(SystemError)
    }

    /// The measure, in words: "lock memory".
    public var measure: String
    public var result: Result

    public var isDone: Bool { result == .done }

    public var description: String {
        switch result {
        case .done: "\(measure): done"
        case .partly(let missing): "\(measure): partly; \(missing)"
        case .refused(let error): "\(measure): refused; \(error)"
        }
    }
}

/// The measures that let a process serve disks on the machine that it runs on. None is needed to run; each
/// says what it could do, so that the administrator can be told.
public enum ProcessHardening {
    /// Memory that this process asks for is never found by writing to a file system, which could wait for
    /// this very process (PR_SET_IO_FLUSHER, Linux 5.6, CAP_SYS_RESOURCE). The mark belongs to a thread and
    /// goes to those that it starts: call it before there is another.
    public static func becomeIOFlusher() -> HardeningOutcome {
        let measure = "avoid waiting for itself when memory is short"
        let set = linux_prctl(57, 1)
        guard set >= 0 else {
            let errno = Errno(rawValue: -set)
            let hint: String? = errno == .invalidArgument ? "needs Linux 5.6" : nil
            return HardeningOutcome(
                measure: measure,
                result: .refused(
                    SystemError(call: "prctl", errno: errno, subject: "PR_SET_IO_FLUSHER", hint: hint)))
        }
        guard linux_prctl(58, 0) == 1 else {
            return HardeningOutcome(measure: measure, result: .partly("the kernel does not confirm it"))
        }
        if let count = threadCount(), count > 1 {
            return HardeningOutcome(
                measure: measure,
                result: .partly("\(count - 1) threads were running already and go without it"))
        }
        return HardeningOutcome(measure: measure, result: .done)
    }

    /// Keeps every page of the process in memory (mlockall(2)), with RLIMIT_MEMLOCK raised first where that
    /// is allowed.
    ///
    /// Without CAP_IPC_LOCK and under a finite limit only what is mapped now is locked: with later memory
    /// locked too, allocations would begin to fail at the limit.
    public static func lockMemory() -> HardeningOutcome {
        let measure = "lock memory"
        _ = raiseLimit(linux_limit_locked_memory, to: .max, measure: "")
        var soft: UInt64 = 0
        var hard: UInt64 = 0
        _ = unsafe linux_get_limit(Int32(linux_limit_locked_memory), &soft, &hard)
        guard soft == .max || linux_has_capability(capabilityToLockMemory) else {
            let result = linux_lock_present_memory()
            if result >= 0 {
                return HardeningOutcome(
                    measure: measure, result: .partly("memory taken later is not; set LimitMEMLOCK=infinity"))
            }
            return HardeningOutcome(measure: measure, result: .refused(lockError(result)))
        }
        // Pages as they are used: a lane's tables are made for the worst case, and most of them are never
        // touched.
        let result = linux_lock_memory(true)
        if result >= 0 { return HardeningOutcome(measure: measure, result: .done) }
        return HardeningOutcome(measure: measure, result: .refused(lockError(result)))
    }

    /// Takes the process out of the way of the kernel's OOM killer; -1000 exempts it
    /// (proc_pid_oom_score_adj(5)).
    public static func setOOMScoreAdjustment(_ value: Int) -> HardeningOutcome {
        precondition(value >= -1000 && value <= 1000)
        let measure = "be spared when memory runs out"
        do {
            try SmallFile.write("\(value)", to: "/proc/self/oom_score_adj")
            return HardeningOutcome(measure: measure, result: .done)
        } catch {
            return HardeningOutcome(measure: measure, result: .refused(error))
        }
    }

    /// Lets the process have `count` open files (RLIMIT_NOFILE), or as many as it may.
    public static func raiseOpenFileLimit(to count: UInt64) -> HardeningOutcome {
        raiseLimit(linux_limit_open_files, to: count, measure: "open \(count) files")
    }

    /// For a child process: `signal` (SIGKILL unless given) is sent to it when the thread that started it
    /// ends (PR_SET_PDEATHSIG). Throws ESRCH when `parent` was gone already.
    public static func dieWithParent(_ parent: Int32, signal: Int32 = 9) throws(SystemError) {
        try check(linux_prctl(1, UInt(signal)), "prctl", "PR_SET_PDEATHSIG")
        guard getppid() == parent else {
            throw SystemError(
                call: "prctl", errno: Errno(rawValue: ESRCH), subject: "PR_SET_PDEATHSIG",
                hint: "the parent process has ended")
        }
    }

    private static func raiseLimit(_ limit: some BinaryInteger, to wish: UInt64, measure: String)
        -> HardeningOutcome
    {
        let limit = Int32(limit)
        var soft: UInt64 = 0
        var hard: UInt64 = 0
        let read = unsafe linux_get_limit(limit, &soft, &hard)
        guard read >= 0 else {
            let error = SystemError(call: "getrlimit", errno: Errno(rawValue: -read), subject: measure)
            return HardeningOutcome(measure: measure, result: .refused(error))
        }
        if soft >= wish { return HardeningOutcome(measure: measure, result: .done) }
        let raised = linux_set_limit(limit, wish, max(hard, wish))
        if raised >= 0 { return HardeningOutcome(measure: measure, result: .done) }
        if hard > soft, linux_set_limit(limit, min(hard, wish), hard) >= 0 {
            let reached = min(hard, wish)
            return HardeningOutcome(
                measure: measure, result: reached == wish ? .done : .partly("the limit is \(reached)"))
        }
        let error = SystemError(call: "setrlimit", errno: Errno(rawValue: -raised), subject: measure)
        return HardeningOutcome(measure: measure, result: .refused(error))
    }

    /// CAP_IPC_LOCK (linux/capability.h).
    private static let capabilityToLockMemory: UInt32 = 14

    private static func lockError(_ result: Int32) -> SystemError {
        SystemError(
            call: "mlockall", errno: Errno(rawValue: -result), subject: "all memory",
            hint: "set LimitMEMLOCK=infinity, or give it CAP_IPC_LOCK")
    }

    /// nil where /proc does not tell.
    private static func threadCount() -> Int? {
        guard let status = try? SmallFile.read("/proc/self/status") else { return nil }
        for line in status.split(separator: "\n") where line.hasPrefix("Threads:") {
            return Int(line.dropFirst("Threads:".count).drop { $0 == "\t" || $0 == " " })
        }
        return nil
    }
}
