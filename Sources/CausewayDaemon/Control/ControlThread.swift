import CausewayControl
import Glibc

/// A thread of the control socket.
enum ControlThread {
    /// Enough for a decoder that a hostile message drives to its deepest nesting.
    private static let stackBytes = 2 << 20

    /// Runs `body` on a new thread. A detached one is never joined; another one must be.
    static func start(
        detached: Bool, _ body: @escaping @Sendable () -> Void
    ) throws(SystemCallError) -> pthread_t {
        let box = unsafe Unmanaged.passRetained(Box(body))
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setstacksize(&attributes, stackBytes)
        if detached { unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED)) }
        var thread = pthread_t()
        let code = unsafe pthread_create(
            &thread, &attributes,
            { context in
                if let context = unsafe context {
                    unsafe Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body()
                }
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            unsafe box.release()
            throw SystemCallError("pthread_create", code: code)
        }
        return thread
    }

    private final class Box: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }
}
