import Synchronization

/// Messages from any thread to the one that owns an event loop.
///
/// Cold: made for commands, not for data. The owner's `hasMail` is one relaxed load, cheap enough for every
/// turn of its loop, and the mailbox's descriptor ends its wait. A message that holds a bare descriptor must
/// be taken and closed by the owner; the mailbox knows nothing of it.
public final class Mailbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    private let pending = Atomic<Bool>(false)
    private let wakeup: Wakeup
    /// Messages that may wait at once.
    public let capacity: Int

    public init(capacity: Int = .max) throws(SystemError) {
        precondition(capacity > 0)
        self.capacity = capacity
        wakeup = try Wakeup()
    }

    /// For `Poller.add(_:slot:for: [.readable, .edgeTriggered])`.
    public var descriptor: Int32 { wakeup.rawValue }

    /// Whether `takeAll` would bring something. It may lag behind another thread's `send`, which ends the
    /// owner's wait in any case.
    @inline(__always)
    public var hasMail: Bool { pending.load(ordering: .relaxed) }

    /// Leaves a message and wakes the owner; false when the mailbox is full, and the message is then dropped.
    @discardableResult
    public func send(_ message: Message) -> Bool {
        let outcome: (taken: Bool, isFirst: Bool) = messages.withLock { messages in
            guard messages.count < capacity else { return (false, false) }
            messages.append(message)
            pending.store(true, ordering: .relaxed)
            return (true, messages.count == 1)
        }
        if outcome.isFirst { wakeup.signal() }
        return outcome.taken
    }

    /// Everything sent so far, each sender's messages in their order. For the owner only.
    public func takeAll() -> [Message] {
        // Before the queue is read: a message that comes in between signals again.
        wakeup.drain()
        return messages.withLock { messages in
            pending.store(false, ordering: .relaxed)
            let taken = messages
            messages = []
            return taken
        }
    }
}
