import CLinux
import Glibc

/// What a descriptor is watched for, and what happened to it (epoll_ctl(2)).
public struct Readiness: OptionSet, BitwiseCopyable, Sendable {
    public let rawValue: UInt32
    @inline(__always) public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let readable = Readiness(rawValue: 0x0001)
    public static let writable = Readiness(rawValue: 0x0004)
    /// Reported whether asked for or not: the socket failed, its SO_ERROR says why.
    public static let error = Readiness(rawValue: 0x0008)
    /// Reported whether asked for or not: both directions are closed.
    public static let hangup = Readiness(rawValue: 0x0010)
    /// The peer sends no more; what it sent before can still be read.
    public static let peerClosed = Readiness(rawValue: 0x2000)
    /// Report a change once instead of a state for as long as it lasts.
    public static let edgeTriggered = Readiness(rawValue: 1 << 31)

    /// A stream socket on the data path: read and write until EAGAIN, then wait.
    public static let stream: Readiness = [.readable, .writable, .peerClosed, .edgeTriggered]
}

/// One descriptor that became ready.
public struct PollEvent: BitwiseCopyable, Sendable {
    /// The slot under which it was added.
    public var slot: Int
    public var readiness: Readiness
    @inline(__always) public var isReadable: Bool { !readiness.isDisjoint(with: [.readable, .peerClosed]) }
    @inline(__always) public var isWritable: Bool { readiness.contains(.writable) }
    /// Nothing more will come or go: the socket failed or is closed in both directions.
    @inline(__always) public var isClosed: Bool { !readiness.isDisjoint(with: [.error, .hangup]) }
}

/// An epoll instance that one thread waits on.
///
/// Its owner numbers its descriptors by slots of its own choice. The 64 bits that epoll carries hold the slot
/// and the slot's generation, so that an event which the kernel reported for a descriptor before it was
/// removed is dropped, although the slot, and even the descriptor's number, may be in use again in the same
/// round.
@safe public struct Poller: ~Copyable, @unchecked Sendable {
    /// The first property: where memory behind another one is changed, Swift 6.3 takes that for an address,
    /// for the sake of the thread sanitizer.
    private let events: UnsafeMutablePointer<epoll_event>
    private let epoll: OwnedDescriptor
    /// By slot; odd while a descriptor is registered.
    private let generations: UnsafeMutablePointer<UInt32>
    private let countsNanoseconds: Bool
    private var readyCount = 0
    /// Events that one wait can report; the rest follow in the next.
    public let eventCapacity: Int
    public let slotCapacity: Int

    public init(slotCapacity: Int, eventCapacity: Int = 128) throws(SystemError) {
        try self.init(slotCapacity: slotCapacity, eventCapacity: eventCapacity, countsNanoseconds: nil)
    }

    /// Tests also make one that does without epoll_pwait2.
    init(slotCapacity: Int, eventCapacity: Int = 128, countsNanoseconds: Bool?) throws(SystemError) {
        precondition(slotCapacity > 0 && eventCapacity > 0 && eventCapacity <= 65_536)
        epoll = OwnedDescriptor(
            adopting: try check(linux_epoll_create(), "epoll_create1", "for an event loop"))
        unsafe events = .allocate(capacity: eventCapacity)
        unsafe events.initialize(repeating: epoll_event(), count: eventCapacity)
        unsafe generations = .allocate(capacity: slotCapacity)
        unsafe generations.initialize(repeating: 0, count: slotCapacity)
        self.eventCapacity = eventCapacity
        self.slotCapacity = slotCapacity
        // Linux before 5.11 has no epoll_pwait2, and a seccomp filter may forbid it.
        let isOffered = unsafe linux_epoll_wait_nanoseconds(epoll.rawValue, events, 1, 0) >= 0
        self.countsNanoseconds = countsNanoseconds ?? isOffered
    }

    deinit {
        unsafe events.deallocate()
        unsafe generations.deallocate()
    }

    /// Watches a descriptor under a free slot. What it is ready for already is reported by the next wait.
    public mutating func add(
        _ descriptor: Int32, slot: Int, for readiness: Readiness = .stream
    ) throws(SystemError) {
        precondition(slot >= 0 && slot < slotCapacity && !isRegistered(slot: slot))
        let generation = unsafe generations[slot] &+ 1
        try check(
            linux_epoll_control(
                epoll.rawValue, EPOLL_CTL_ADD, descriptor, readiness.rawValue, Self.token(slot, generation)),
            "epoll_ctl", "descriptor \(descriptor)")
        unsafe generations[slot] = generation
    }

    /// Changes what the slot's descriptor is watched for.
    public mutating func modify(
        _ descriptor: Int32, slot: Int, for readiness: Readiness
    ) throws(SystemError) {
        precondition(slot >= 0 && slot < slotCapacity && isRegistered(slot: slot))
        try check(
            linux_epoll_control(
                epoll.rawValue, EPOLL_CTL_MOD, descriptor, readiness.rawValue,
                Self.token(slot, unsafe generations[slot])),
            "epoll_ctl", "descriptor \(descriptor)")
    }

    /// Frees the slot and drops whatever was reported for it. Call it before the descriptor is closed:
    /// another process may hold a copy, for which epoll would go on reporting.
    public mutating func remove(_ descriptor: Int32, slot: Int) {
        precondition(slot >= 0 && slot < slotCapacity && isRegistered(slot: slot))
        unsafe generations[slot] &+= 1
        _ = linux_epoll_control(epoll.rawValue, EPOLL_CTL_DEL, descriptor, 0, 0)
    }

    public func isRegistered(slot: Int) -> Bool {
        precondition(slot >= 0 && slot < slotCapacity)
        return unsafe generations[slot] & 1 == 1
    }

    /// Waits until something happens, at most `timeoutNanoseconds` (0: not at all; nil: for ever). Events
    /// reported, 0 when the time is over or a signal came.
    @_noLocks
    public mutating func wait(timeoutNanoseconds: UInt64?) -> Int {
        var count: Int32
        if countsNanoseconds {
            count = unsafe linux_epoll_wait_nanoseconds(
                epoll.rawValue, events, Int32(truncatingIfNeeded: eventCapacity),
                Self.nanoseconds(timeoutNanoseconds))
        } else {
            count = unsafe linux_epoll_wait_milliseconds(
                epoll.rawValue, events, Int32(truncatingIfNeeded: eventCapacity),
                Self.milliseconds(timeoutNanoseconds))
        }
        if count < 0 {
            // Only a descriptor that is no epoll, or memory that is not ours, gives another error.
            precondition(count == -EINTR)
            count = 0
        }
        readyCount = Int(count)
        return readyCount
    }

    /// Event `index` of the last wait, nil if its descriptor has been removed since.
    @_noLocks @inline(__always)
    public func event(_ index: Int) -> PollEvent? {
        precondition(index >= 0 && index < readyCount)
        let token = unsafe linux_epoll_token(events + index)
        let slot = Int(UInt32(truncatingIfNeeded: token))
        guard slot < slotCapacity, unsafe generations[slot] == UInt32(truncatingIfNeeded: token >> 32) else {
            return nil
        }
        return PollEvent(slot: slot, readiness: Readiness(rawValue: unsafe events[index].events))
    }

    private static func token(_ slot: Int, _ generation: UInt32) -> UInt64 {
        UInt64(generation) << 32 | UInt64(UInt32(truncatingIfNeeded: slot))
    }

    /// The wait as epoll_pwait2 takes it. A day is long enough: a wait that ends early is harmless.
    @_noLocks
    private static func nanoseconds(_ timeout: UInt64?) -> Int64 {
        guard let timeout else { return -1 }
        return timeout < 86_400_000_000_000 ? Int64(truncatingIfNeeded: timeout) : 86_400_000_000_000
    }

    /// The wait as epoll_wait takes it, rounded up, so that a timer is never found not yet due.
    @_noLocks
    static func milliseconds(_ timeout: UInt64?) -> Int32 {
        let timeout = nanoseconds(timeout)
        return timeout < 0 ? -1 : Int32(truncatingIfNeeded: (timeout + 999_999) / 1_000_000)
    }
}
