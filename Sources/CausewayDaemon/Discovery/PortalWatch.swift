import Dispatch
import LinuxSystem
import Synchronization

/// A thread that now and then has a look at something, and at once when it is woken.
final class PortalWatch: Sendable {
    private let wakeup = DispatchSemaphore(value: 0)
    private let stopping = Atomic<Bool>(false)

    /// - Parameter look: returns the milliseconds until the next time.
    func start(_ look: @escaping @Sendable () -> Int) throws(SystemError) {
        let thread = try startThread(name: "causeway portals") { [self] in
            while !stopping.load(ordering: .relaxed) {
                let pause = look()
                _ = wakeup.wait(timeout: .now() + .milliseconds(pause))
            }
        }
        _ = consume thread
    }

    func stop() {
        stopping.store(true, ordering: .relaxed)
        wakeup.signal()
    }
}
