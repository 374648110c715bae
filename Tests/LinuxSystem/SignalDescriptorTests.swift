import Glibc
import Testing

@testable import LinuxSystem

@Suite struct SignalDescriptorTests {
    @Test func signalsBecomeEvents() async {
        await #expect(processExitsWith: .success) {
            let signals = try SignalDescriptor([SIGTERM, SIGHUP])
            #expect(signals.rawValue >= 0)
            let before = signals.next()
            #expect(before == nil)
            // To this thread itself, which has them blocked; others of the test runner have not.
            #expect(pthread_kill(pthread_self(), SIGTERM) == 0)
            let event = try ready(signals.rawValue, for: [.readable])
            #expect(event?.isReadable == true)
            let first = signals.next()
            let second = signals.next()
            #expect(first == SIGTERM && second == nil)
        }
    }

    @Test func brokenPipesDoNotKill() async {
        await #expect(processExitsWith: .success) {
            SignalDescriptor.ignoreBrokenPipes()
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            close(ends[0])
            #expect(write(ends[1], "x", 1) == -1 && errno == EPIPE)
        }
    }
}
