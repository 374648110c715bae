import CLinux
import Glibc
import Testing

@testable import LinuxSystem

/// A poller that expectations may use: they cannot take apart a call on a noncopyable value.
final class TestPoller {
    private var poller: Poller
    init(slotCapacity: Int, countsNanoseconds: Bool? = nil) throws(SystemError) {
        poller = try Poller(slotCapacity: slotCapacity, countsNanoseconds: countsNanoseconds)
    }
    func add(_ descriptor: Int32, slot: Int, for readiness: Readiness = .stream) throws(SystemError) {
        try poller.add(descriptor, slot: slot, for: readiness)
    }
    func modify(_ descriptor: Int32, slot: Int, for readiness: Readiness) throws(SystemError) {
        try poller.modify(descriptor, slot: slot, for: readiness)
    }
    func remove(_ descriptor: Int32, slot: Int) { poller.remove(descriptor, slot: slot) }
    func isRegistered(slot: Int) -> Bool { poller.isRegistered(slot: slot) }
    func wait(timeoutNanoseconds: UInt64?) -> Int { poller.wait(timeoutNanoseconds: timeoutNanoseconds) }
    func event(_ index: Int) -> PollEvent? { poller.event(index) }
}

@Suite struct PollerTests {
    @Test func reportsWhatIsReadyUnderItsSlot() throws {
        let first = try SocketPair()
        let second = try SocketPair()
        let poller = try TestPoller(slotCapacity: 8)
        try poller.add(first.laneEnd.rawValue, slot: 3)
        try poller.add(second.laneEnd.rawValue, slot: 7, for: [.readable])
        #expect(sendText("x", on: second.kernelEnd.rawValue) == 1)

        var seen: [Int: PollEvent] = [:]
        for index in 0..<poller.wait(timeoutNanoseconds: 0) {
            let event = try #require(poller.event(index))
            seen[event.slot] = event
        }
        #expect(seen.count == 2)
        let writable = try #require(seen[3])
        #expect(writable.isWritable && !writable.isReadable && !writable.isClosed)
        let readable = try #require(seen[7])
        #expect(readable.isReadable && !readable.isWritable)
    }

    @Test func edgeTriggeredReportsAChangeOnce() throws {
        let pair = try SocketPair()
        let poller = try TestPoller(slotCapacity: 1)
        try poller.add(pair.laneEnd.rawValue, slot: 0)
        #expect(poller.wait(timeoutNanoseconds: 0) == 1)
        #expect(poller.wait(timeoutNanoseconds: 0) == 0)
        #expect(sendText("x", on: pair.kernelEnd.rawValue) == 1)
        #expect(poller.wait(timeoutNanoseconds: 0) == 1)
        #expect(poller.wait(timeoutNanoseconds: 0) == 0)
    }

    @Test func tellsWhenThePeerIsGone() throws {
        let pair = try SocketPair()
        let poller = try TestPoller(slotCapacity: 1)
        try poller.add(pair.laneEnd.rawValue, slot: 0)
        #expect(shutdown(pair.kernelEnd.rawValue, Int32(SHUT_WR)) == 0)
        #expect(poller.wait(timeoutNanoseconds: 0) == 1)
        let half = try #require(poller.event(0))
        #expect(half.readiness.contains(.peerClosed) && half.isReadable && !half.isClosed)
        #expect(shutdown(pair.kernelEnd.rawValue, Int32(SHUT_RDWR)) == 0)
        #expect(poller.wait(timeoutNanoseconds: 0) == 1)
        #expect(try #require(poller.event(0)).isClosed)
    }

    @Test func dropsEventsOfARemovedDescriptor() throws {
        let old = try SocketPair()
        let new = try SocketPair()
        let poller = try TestPoller(slotCapacity: 1)
        try poller.add(old.laneEnd.rawValue, slot: 0)
        #expect(poller.wait(timeoutNanoseconds: 0) == 1)
        poller.remove(old.laneEnd.rawValue, slot: 0)
        #expect(!poller.isRegistered(slot: 0))
        #expect(poller.event(0) == nil)
        // The slot is in use again in the same round, and the old event must not reach its new descriptor.
        try poller.add(new.laneEnd.rawValue, slot: 0)
        #expect(poller.event(0) == nil)
        #expect(poller.wait(timeoutNanoseconds: 0) == 1)
        #expect(poller.event(0)?.slot == 0)
    }

    @Test func aDescriptorMayChangeWhatItIsWatchedFor() throws {
        let pair = try SocketPair()
        let poller = try TestPoller(slotCapacity: 1)
        try poller.add(pair.laneEnd.rawValue, slot: 0, for: [.readable])
        #expect(poller.wait(timeoutNanoseconds: 0) == 0)
        try poller.modify(pair.laneEnd.rawValue, slot: 0, for: [.readable, .writable])
        #expect(poller.wait(timeoutNanoseconds: 0) == 1)
        #expect(poller.event(0)?.isWritable == true)
    }

    @Test(arguments: [nil, false] as [Bool?])
    func aWaitNeverEndsBeforeItsTime(countsNanoseconds: Bool?) throws {
        let poller = try TestPoller(slotCapacity: 1, countsNanoseconds: countsNanoseconds)
        let begin = MonotonicClock.now()
        #expect(poller.wait(timeoutNanoseconds: 2_500_000) == 0)
        #expect(MonotonicClock.now().nanoseconds(since: begin) >= 2_500_000)
    }

    @Test func millisecondsAreRoundedUp() {
        #expect(Poller.milliseconds(nil) == -1)
        #expect(Poller.milliseconds(0) == 0)
        #expect(Poller.milliseconds(1) == 1)
        #expect(Poller.milliseconds(1_000_000) == 1)
        #expect(Poller.milliseconds(1_000_001) == 2)
        #expect(Poller.milliseconds(.max) == 86_400_000)
    }

    @Test func aBadDescriptorIsAnError() throws {
        let poller = try TestPoller(slotCapacity: 1)
        let error = #expect(throws: SystemError.self) { try poller.add(1_000_000, slot: 0) }
        #expect(error?.errno == Errno(rawValue: EBADF))
        #expect(!poller.isRegistered(slot: 0))
    }

    @Test func withoutNanosecondsItWorksTheSame() throws {
        let pair = try SocketPair()
        let poller = try TestPoller(slotCapacity: 1, countsNanoseconds: false)
        try poller.add(pair.laneEnd.rawValue, slot: 0)
        #expect(poller.wait(timeoutNanoseconds: nil) == 1)
        #expect(poller.event(0)?.isWritable == true)
        #expect(poller.wait(timeoutNanoseconds: 0) == 0)
    }

    /// Restated in Swift, since the C values are enumerators of another type.
    @Test func readinessHasTheKernelsValues() {
        #expect(Readiness.readable.rawValue == EPOLLIN.rawValue)
        #expect(Readiness.writable.rawValue == EPOLLOUT.rawValue)
        #expect(Readiness.error.rawValue == EPOLLERR.rawValue)
        #expect(Readiness.hangup.rawValue == EPOLLHUP.rawValue)
        #expect(Readiness.peerClosed.rawValue == EPOLLRDHUP.rawValue)
        #expect(Readiness.edgeTriggered.rawValue == EPOLLET.rawValue)
    }
}
