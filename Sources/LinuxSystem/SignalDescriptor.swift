import CLinux

/// Signals as events on a descriptor instead of interruptions (signalfd(2)).
///
/// Make it before any thread exists: a signal goes to whichever thread has not blocked it.
public struct SignalDescriptor: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor

    /// Blocks the signals in the calling thread and in those that it starts. They stay blocked in programs
    /// that it executes, too.
    public init(_ signals: [Int32]) throws(SystemError) {
        var mask: UInt64 = 0
        for signal in signals {
            precondition(signal >= 1 && signal <= 64)
            mask |= 1 << UInt64(signal - 1)
        }
        descriptor = OwnedDescriptor(
            adopting: try check(linux_signal_descriptor(mask), "signalfd", "signals \(signals)"))
    }

    /// For `Poller.add(_:slot:for: [.readable])`.
    public var rawValue: Int32 { descriptor.rawValue }

    /// The next signal that came, nil when there is none. Of one kind, those that come before it is read are
    /// one.
    public func next() -> Int32? {
        let signal = linux_read_signal(descriptor.rawValue)
        return signal > 0 ? signal : nil
    }

    /// Writing to a peer that is gone gives EPIPE, and no signal, in the whole process.
    public static func ignoreBrokenPipes() { _ = linux_ignore_signal(13) }
}
