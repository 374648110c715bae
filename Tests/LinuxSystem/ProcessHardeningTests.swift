import CLinux
import Glibc
import Testing

@testable import LinuxSystem

/// Each in a process of its own, since the measures last.
@Suite struct ProcessHardeningTests {
    /// The shadow of a sanitizer is larger than any memory.
    private static var isSanitized: Bool {
        dlsym(nil, "__asan_init") != nil || dlsym(nil, "__tsan_init") != nil
    }

    @Test(.enabled(if: isRoot, "needs root"), .disabled(if: isSanitized, "a sanitizer cannot be locked"))
    func locksMemory() async {
        await #expect(processExitsWith: .success) {
            let outcome = ProcessHardening.lockMemory()
            #expect(outcome.isDone, "\(outcome)")
            let status = try SmallFile.read("/proc/self/status")
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmLck:") })
            #expect(!line.contains("\t       0 kB"))
        }
    }

    @Test(.enabled(if: isRoot, "needs root"))
    func withoutPrivilegeTheMeasuresAreRefusedAndSayWhy() async {
        await #expect(processExitsWith: .success) {
            #expect(linux_set_limit(Int32(linux_limit_locked_memory), 65_536, 65_536) == 0)
            #expect(setuid(65_534) == 0)
            let flusher = ProcessHardening.becomeIOFlusher()
            guard case .refused(let error) = flusher.result else {
                Issue.record("\(flusher)")
                return
            }
            #expect(error.errno == .notPermitted)
            #expect(flusher.description.contains("CAP_SYS_RESOURCE"))
            let memory = ProcessHardening.lockMemory()
            #expect(!memory.isDone)
            #expect(memory.description.contains("LimitMEMLOCK=infinity"))
            #expect(!ProcessHardening.setOOMScoreAdjustment(-1000).isDone)
        }
    }

    /// CAP_SYS_RESOURCE, which root in a container may lack.
    static let mayClaimResources = linux_has_capability(24)

    @Test func becomesAnIOFlusher() async {
        await #expect(processExitsWith: .success) {
            let outcome = ProcessHardening.becomeIOFlusher()
            switch outcome.result {
            case .refused(let error):
                #expect(!Self.mayClaimResources && error.errno == .notPermitted)
            case .done:
                #expect(Self.mayClaimResources && linux_prctl(58, 0) == 1)
            case .partly(let missing):
                // The test runner has threads already.
                #expect(linux_prctl(58, 0) == 1 && missing.contains("threads"))
            }
        }
    }

    @Test func isSparedByTheOOMKiller() async {
        await #expect(processExitsWith: .success) {
            let outcome = ProcessHardening.setOOMScoreAdjustment(-500)
            #expect(outcome.isDone == Self.mayClaimResources, "\(outcome)")
            // To be killed sooner is anyone's right.
            #expect(ProcessHardening.setOOMScoreAdjustment(700).isDone)
            let score = try SmallFile.read("/proc/self/oom_score_adj")
            #expect(score == "700\n")
        }
    }

    @Test func raisesTheOpenFileLimit() async {
        await #expect(processExitsWith: .success) {
            var soft: UInt64 = 0
            var hard: UInt64 = 0
            #expect(linux_set_limit(Int32(linux_limit_open_files), 64, 512) == 0)
            #expect(ProcessHardening.raiseOpenFileLimit(to: 256).isDone)
            #expect(linux_get_limit(Int32(linux_limit_open_files), &soft, &hard) == 0)
            #expect(soft == 256 && hard == 512)
            #expect(ProcessHardening.raiseOpenFileLimit(to: 100).isDone)
            #expect(linux_get_limit(Int32(linux_limit_open_files), &soft, &hard) == 0)
            #expect(soft == 256)
        }
    }

    @Test func aChildGoesWithItsParent() async {
        await #expect(processExitsWith: .success) {
            try ProcessHardening.dieWithParent(getppid())
            let error = #expect(throws: SystemError.self) { try ProcessHardening.dieWithParent(getpid()) }
            #expect(error?.errno == Errno(rawValue: ESRCH))
        }
    }
}
