import CLinux
import CausewayCore

/// A lane's one alarm clock (timerfd), on the monotonic clock.
struct LaneTimer: ~Copyable {
    private let descriptor: OwnedDescriptor

    init() throws(SystemError) {
        descriptor = OwnedDescriptor(
            adopting: try check(linux_timer_create(), "timerfd_create", "for a lane"))
    }

    var rawValue: Int32 { descriptor.rawValue }

    /// Goes off at `moment`, or at once if that has passed; an earlier setting is forgotten.
    func set(_ moment: Instant) {
        linux_timer_set(descriptor.rawValue, max(moment.nanoseconds, 1))
    }

    /// Takes note that it went off.
    func drain() { _ = linux_eventfd_drain(descriptor.rawValue) }
}
