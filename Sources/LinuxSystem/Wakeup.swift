import CLinux

/// An eventfd by which other threads end a poller's wait.
public struct Wakeup: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor

    public init() throws(SystemError) {
        descriptor = OwnedDescriptor(adopting: try check(linux_eventfd_create(), "eventfd", "for a wake-up"))
    }

    /// For `Poller.add(_:slot:for: [.readable, .edgeTriggered])`.
    public var rawValue: Int32 { descriptor.rawValue }

    /// From any thread; never blocks.
    public func signal() { _ = linux_eventfd_signal(descriptor.rawValue) }

    /// Takes back every signal so far; whether there was one.
    @discardableResult
    public func drain() -> Bool { linux_eventfd_drain(descriptor.rawValue) > 0 }
}
