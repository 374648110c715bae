import CNetlink
import Glibc
import Testing

@testable import NBDDevice

/// Runs before `main` of the test program, so that the program itself can be the process that makes a call,
/// as causewayd is: `/proc/self/exe --nbd-call`.
@section(".init_array") @used
private let beforeMain:
    @convention(c) (
        Int32, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
        UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    ) -> Void = { count, words, _ in
        if count == 2, let word = words?[1], strcmp(word, "--nbd-call") == 0 { NBDCallMain.run() }
    }

@Suite struct NBDCallRunnerTests {
    /// A process that answers as `script` says, on descriptor 3.
    private func runner(_ script: String) -> NBDCallRunner {
        NBDCallRunner(executable: "/bin/sh", arguments: ["sh", "-c", script])
    }

    private func octal(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 8)
            return "\\\\" + String(repeating: "0", count: 3 - digits.count) + digits
        }.joined()
    }

    private func script(answering answer: NBDAnswer) -> String { "printf \(octal(answer.encoded())) >&3" }

    @Test func returnsTheAnswer() throws {
        let answer = NBDAnswer(.success(.connected(index: 12)))
        let outcome = try runner(script(answering: answer)).run(.status, timeLimitMilliseconds: 20_000)
        guard case .finished(.connected(index: 12)) = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }

    @Test func throwsTheErrorThatHappenedThere() {
        let answer = NBDAnswer(.failure(.refused(.connect, index: 1, errno: EBUSY)))
        #expect(throws: NBDDeviceError.refused(.connect, index: 1, errno: EBUSY)) {
            try runner(script(answering: answer)).run(.status, timeLimitMilliseconds: 20_000)
        }
    }

    @Test func aProcessThatDiesIsReported() {
        #expect(throws: NBDDeviceError.helperFailed(.exited(status: 7))) {
            try runner("exit 7").run(.status, timeLimitMilliseconds: 20_000)
        }
        #expect(throws: NBDDeviceError.helperFailed(.signalled(signal: SIGKILL))) {
            try runner("kill -9 $$").run(.status, timeLimitMilliseconds: 20_000)
        }
        #expect(throws: NBDDeviceError.helperFailed(.unintelligible)) {
            try runner("printf hello >&3").run(.status, timeLimitMilliseconds: 20_000)
        }
    }

    @Test func aMissingProgramIsReported() {
        #expect(throws: NBDDeviceError.system(call: "posix_spawn", subject: "/nonexistent", errno: ENOENT)) {
            try NBDCallRunner(executable: "/nonexistent").run(.status, timeLimitMilliseconds: 1000)
        }
    }

    @Test func anOverdueCallIsKeptAndCollected() throws {
        let answer = NBDAnswer(.success(.connected(index: 5)))
        // Waits until it is told to go on: no clock in this test.
        let pair = try KernelSocketPair()
        let call = NBDCall.reconnect(
            ReconnectRequest(index: 5, backendIdentifier: "x", sockets: [pair.kernelEnd]))
        let runner = runner("read line <&4; " + script(answering: answer))
        guard case .timedOut(let running) = try runner.run(call, timeLimitMilliseconds: 1) else {
            Issue.record("it did not wait")
            return
        }
        #expect(running.call == call)
        #expect(runner.overdueCalls.map(\.pid) == [running.pid])
        #expect(runner.collectOverdue().isEmpty)

        #expect(write(pair.daemonEnd, "go\n", 3) == 3)
        #expect(running.wait(timeLimitMilliseconds: 20_000) == .success(.connected(index: 5)))
        #expect(runner.collectOverdue().map(\.pid) == [running.pid])
        #expect(runner.overdueCalls.isEmpty)
        // Reaped: it is nobody's child any more.
        #expect(waitpid(running.pid, nil, WNOHANG) == -1)
    }

    @Test func theProcessHoldsItsSocketsAndNothingElse() throws {
        // Without close-on-exec, as a careless library would open it.
        let careless = open("/dev/null", O_RDONLY)
        let high = fcntl(careless, F_DUPFD, 100)
        defer {
            close(careless)
            close(high)
        }
        let first = try KernelSocketPair()
        let second = try KernelSocketPair()
        let call = NBDCall.reconnect(
            ReconnectRequest(index: 0, backendIdentifier: "x", sockets: [first.kernelEnd, second.kernelEnd]))
        let running = try runner(
            "cd /proc/$$/fd; for n in 0 1 2 3 4 5 6 7 8 9 \(high); do [ -e $n ] && printf $n; done >&4; "
                + "echo second >&5"
        ).start(call)
        #expect(running.wait(timeLimitMilliseconds: 20_000) == .failure(.helperFailed(.exited(status: 0))))
        #expect(received(first.daemonEnd) == "012345")
        #expect(received(second.daemonEnd) == "second\n")
    }

    private func received(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    /// The whole way: this program starts itself, which asks the kernel (or finds that there is none to ask).
    @Test func thisProgramMakesACall() throws {
        let result = Result { () throws(NBDDeviceError) in
            try NBDCallRunner().run(.tune(index: 4_000_000, QueueSettings()), timeLimitMilliseconds: 20_000)
        }
        guard case .failure(let error) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(error == .noDevice(index: 4_000_000))
    }
}
