import CausewayCore
import Dispatch
import LinuxSystem
import Synchronization

/// A lane on its own thread, and how other threads speak to it.
final class LaneHandle: Sendable {
    /// Among the daemon's lanes.
    let number: Int
    private let mailbox: Mailbox<LaneRunner.Work>
    private let ended = DispatchSemaphore(value: 0)

    init(
        number: Int, settings: LaneSettings, onNotice: @escaping @Sendable (LaneNotice) -> Void
    ) throws(SystemError) {
        let mailbox = try Mailbox<LaneRunner.Work>()
        self.number = number
        self.mailbox = mailbox
        let ended = ended
        let runner = try LaneRunner(settings: settings, mailbox: mailbox, onNotice: onNotice)
        let thread = try startThread(name: "lane \(number)", owning: runner) { runner in
            var runner = runner
            runner.run()
            ended.signal()
        }
        _ = consume thread
    }

    /// Has the lane's thread do something at its next wake-up.
    func perform(_ work: @escaping LaneRunner.Work) {
        mailbox.send(work)
    }

    /// Has the lane's thread do something and waits for the result; nil if its turn does not come within
    /// `milliseconds`. Then it is not done later either: whoever asked has gone on.
    func ask<Answer: Sendable>(
        milliseconds: Int = 5000, _ question: @escaping @Sendable (inout LaneRunner) -> Answer
    ) -> Answer? {
        let promise = Promise<Answer>()
        // Taken by whoever is first: the lane, or the end of the asker's patience.
        let turn = Turn()
        mailbox.send { runner in
            if turn.take() { promise.fulfil(question(&runner)) }
        }
        if let answer = promise.wait(milliseconds: milliseconds) { return answer }
        // What has begun is a matter of moments.
        return turn.take() ? nil : promise.wait(milliseconds: 60_000)
    }

    /// Ends the thread. Sessions are not logged out; that is the disks' detach.
    func stop() {
        mailbox.send { runner in runner.stop() }
        _ = ended.wait(timeout: .now() + .seconds(5))
    }
}

/// Something that only one of two may do.
private final class Turn: Sendable {
    private let isTaken = Atomic<Bool>(false)

    func take() -> Bool { !isTaken.exchange(true, ordering: .acquiringAndReleasing) }
}

/// A value that one thread waits for and another provides.
final class Promise<Value: Sendable>: Sendable {
    private let promised = Mutex<Value?>(nil)
    private let ready = DispatchSemaphore(value: 0)

    /// nil until there is one.
    var value: Value? { promised.withLock { $0 } }

    /// The first value stands.
    func fulfil(_ newValue: Value) {
        let isFirst = promised.withLock { value in
            guard value == nil else { return false }
            value = newValue
            return true
        }
        if isFirst { ready.signal() }
    }

    func wait(milliseconds: Int) -> Value? {
        // Only who took the signal passes it on: after a time-out there is none.
        if ready.wait(timeout: .now() + .milliseconds(milliseconds)) == .success { ready.signal() }
        return value
    }
}
