import Testing

@testable import CausewayCore

@Suite("The health of a path")
struct PathHealthTests {
    private let timers = SessionTimers()

    /// Times in milliseconds after some moment.
    private func at(_ milliseconds: UInt64) -> Instant {
        Instant(nanoseconds: 1_000_000_000).adding(milliseconds: milliseconds)
    }

    private func signs(now: UInt64, oldest: UInt64? = nil, heard: UInt64 = 0, patience: UInt64 = 100)
        -> PathSigns
    {
        PathSigns(
            now: at(now), oldest: oldest.map(at), lastReceived: at(heard), patience: patience * 1_000_000)
    }

    private func judge(_ signs: PathSigns) -> PathHealth.Verdict { PathHealth.judge(signs, timers) }

    @Test("an idle path is asked every noop-interval")
    func idle() {
        #expect(judge(signs(now: 4999)) == .healthy(checkAt: at(5000)))
        #expect(judge(signs(now: 5000)) == .askIdle)
    }

    @Test("suspicion comes as early as the past justifies, and not before")
    func suspicion() {
        #expect(PathHealth.patience(usual: nil, timers: timers) == 200_000_000)
        #expect(PathHealth.patience(usual: 1_000_000, timers: timers) == 100_000_000)
        #expect(PathHealth.patience(usual: 512_000_000, timers: timers) == 2_048_000_000)
        #expect(PathHealth.patience(usual: 60_000_000_000, timers: timers) == timers.noopInterval)
        #expect(judge(signs(now: 99, oldest: 0)) == .healthy(checkAt: at(100)))
        #expect(judge(signs(now: 100, oldest: 0)) == .ask)
        // Something came meanwhile.
        #expect(judge(signs(now: 100, oldest: 0, heard: 50)) == .healthy(checkAt: at(150)))
    }

    @Test("with a slow past TCP is asked first, and a network at fault needs no more patience")
    func look() {
        var signs = signs(now: 200, oldest: 0, patience: 2000)
        #expect(judge(signs) == .look)
        var transport = TransportReport()
        signs.transport = transport
        signs.transportRead = at(200)
        #expect(judge(signs) == .healthy(checkAt: at(400)))
        transport.unacknowledgedSegments = 1
        transport.consecutiveTimeouts = 1
        signs.transport = transport
        #expect(judge(signs) == .ask)
    }

    @Test("a ping without an answer is death only while a sibling answers")
    func death() {
        var signs = signs(now: 600, oldest: 0, heard: 0)
        signs.pingSent = at(100)
        #expect(judge(signs) == .suspect(checkAt: at(650)))
        signs.siblingHeard = at(99)
        #expect(judge(signs) == .suspect(checkAt: at(650)))
        signs.siblingHeard = at(101)
        #expect(judge(signs) == .dead(silence: 500_000_000))
        signs.now = at(499)
        #expect(judge(signs) == .suspect(checkAt: at(549)))
        signs.siblingHeard = Instant(nanoseconds: 0)
        signs.now = at(100 + 45_000)
        #expect(judge(signs) == .dead(silence: 45_000_000_000))
    }

    @Test("a target whose TCP acknowledges is met with patience")
    func acknowledged() {
        var signs = signs(now: 600, oldest: 0)
        signs.pingSent = at(100)
        signs.siblingHeard = at(550)
        signs.transport = TransportReport()
        signs.transportRead = at(500)
        #expect(judge(signs) == .suspect(checkAt: at(650)))
        signs.now = at(5100)
        #expect(judge(signs) == .dead(silence: 5_000_000_000))
        // What TCP said before the ping went out says nothing of the ping.
        signs.now = at(600)
        signs.transportRead = at(99)
        #expect(judge(signs) == .dead(silence: 500_000_000))
    }

    @Test("a path on trial has no I/O to be patient for")
    func trial() {
        var signs = signs(now: 899)
        signs.pingSent = at(100)
        signs.isOnTrial = true
        signs.siblingHeard = at(300)
        #expect(judge(signs) == .suspect(checkAt: at(949)))
        signs.now = at(900)
        #expect(judge(signs) == .dead(silence: 800_000_000))
        signs.siblingHeard = Instant(nanoseconds: 0)
        #expect(judge(signs) == .suspect(checkAt: at(950)))
        signs.now = at(2100)
        #expect(judge(signs) == .dead(silence: 2_000_000_000))
    }

    @Test("full-size pings fill a segment as far as both ends allow")
    func segmentSizes() {
        #expect(SegmentCheck.byteCount(segmentBytes: 1448, limit: 8192) == 1448)
        #expect(SegmentCheck.byteCount(segmentBytes: 8948, limit: 8192) == 8192)
        #expect(SegmentCheck.byteCount(segmentBytes: 65483, limit: 262_144) == 16384)
        #expect(SegmentCheck.byteCount(segmentBytes: 0, limit: 512) == 512)
        #expect(SegmentCheck.byteCount(segmentBytes: 1447, limit: 8192) == 1444)
    }
}

@Suite("Quarantine")
struct QuarantineTests {
    private func second(_ seconds: UInt64) -> Instant {
        Instant(nanoseconds: (seconds + 1000) * 1_000_000_000)
    }

    @Test("begins with the sixth loss within a minute")
    func losses() {
        var quarantine = Quarantine()
        for time in [0, 10, 20, 30, 40] as [UInt64] { #expect(quarantine.mark(second(time)) == nil) }
        #expect(quarantine.mark(second(59)) == 6)
        var patient = Quarantine()
        for time in 0..<20 as Range<UInt64> { #expect(patient.mark(second(12 * time)) == nil) }
    }

    @Test("grows each time, up to five minutes, and shrinks with good behaviour")
    func growth() {
        var quarantine = Quarantine()
        var now: UInt64 = 0
        for expected in [5, 10, 20, 40, 80, 160, 300, 300] as [UInt64] {
            quarantine.begin(.losses(6), now: second(now))
            #expect(quarantine.until == second(now + expected))
            now += expected
            quarantine.end(second(now))
            // On probation a single loss is enough.
            now += 1
            #expect(quarantine.mark(second(now)) == 1)
        }
        now += 120
        quarantine.begin(.losses(6), now: second(now))
        #expect(quarantine.until == second(now + 75))
        quarantine.end(second(now + 75))
        now += 75 + 3600
        #expect(quarantine.mark(second(now)) == nil)
        quarantine.begin(.losses(6), now: second(now))
        #expect(quarantine.until == second(now + 5))
    }

    @Test("of a slow path takes seconds in a row")
    func slow() {
        var window = AnswerWindow()
        var totals = AnswerWindow.Totals()
        // One after the other, 4 KiB each; the best is so fast.
        let best = AnswerWindow.Showing(mean: 1_000_000, rate: 8_192_000)
        func next(_ mean: UInt64, count: UInt64 = 100, atOnce: UInt64 = 1) -> Bool {
            totals.commands += count
            totals.bytes += 4096 * count
            totals.latency += count * mean
            totals.busy += count * mean / atOnce
            window.close(totals)
            return window.compare(best: best, isOnProbation: false)
        }
        for _ in 0..<4 { #expect(!next(50_000_000)) }
        #expect(!next(1_000_000))
        for _ in 0..<4 { #expect(!next(50_000_000)) }
        // Too few answers say nothing, for or against.
        #expect(!next(50_000_000, count: 3))
        #expect(next(50_000_000))
        // Eight times as slow, and yet fast.
        window.reset()
        for _ in 0..<20 { #expect(!next(5_000_000)) }
        // Slow only because it has much to do: a third of the best's rate.
        for _ in 0..<20 { #expect(!next(50_000_000, atOnce: 17)) }
        for _ in 0..<4 { #expect(!next(50_000_000, atOnce: 5)) }
        #expect(next(50_000_000, atOnce: 5))
    }
}

@Suite("Delays between attempts")
struct RetryDelayTests {
    @Test("never keep a path that came back waiting for long")
    func unreachable() {
        var retries = RetryDelay()
        var last: UInt64 = 0
        for _ in 0..<100 { last = retries.next(wasRefused: false, downMilliseconds: 3_600_000) }
        #expect(last == 500)
    }

    @Test("are short while a path has only just gone", arguments: [false, true])
    func fresh(_ wasRefused: Bool) {
        var retries = RetryDelay()
        var last: UInt64 = 0
        for down in stride(from: UInt64(0), through: 2000, by: 100) {
            last = retries.next(wasRefused: wasRefused, downMilliseconds: down)
            #expect(last <= 250)
        }
        #expect(last == 250)
    }

    @Test("grow where sessions do not last")
    func shortSessions() {
        var retries = RetryDelay()
        var last: UInt64 = 0
        for _ in 0..<10 { last = retries.nextAfterShortSession() }
        #expect(last == 800)
    }

    @Test("spare a target that refuses, once it had time to start")
    func refused() {
        var retries = RetryDelay()
        for _ in 0..<100 { #expect(retries.next(wasRefused: true, downMilliseconds: 10_000) <= 800) }
        #expect(retries.next(wasRefused: true, downMilliseconds: 40_000) == 15_000)
        retries.reset()
        #expect(retries.next(wasRefused: true, downMilliseconds: 40_000) == 50)
    }

    @Test("give a target its time to start from when it can be reached")
    func starting() {
        var retries = RetryDelay()
        for down in stride(from: UInt64(0), through: 60_000, by: 500) {
            _ = retries.next(wasRefused: false, downMilliseconds: down)
        }
        for down in stride(from: UInt64(60_500), to: 90_500, by: 500) {
            #expect(retries.next(wasRefused: true, downMilliseconds: down) <= 800)
        }
        #expect(retries.next(wasRefused: true, downMilliseconds: 90_500) > 800)
        _ = retries.next(wasRefused: false, downMilliseconds: 91_000)
        #expect(retries.next(wasRefused: true, downMilliseconds: 120_000) <= 800)
    }
}
