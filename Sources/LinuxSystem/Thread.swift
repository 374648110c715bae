import CLinux
import Glibc

/// A running thread; its end is awaited with `join`. Dropped without it, the thread runs on by itself.
public struct JoinableThread: ~Copyable, Sendable {
    private let thread: pthread_t

    fileprivate init(_ thread: pthread_t) { self.thread = thread }

    deinit { pthread_detach(thread) }

    /// Waits until the thread's body has returned. Not from that thread itself.
    public consuming func join() {
        let thread = thread
        discard self
        pthread_join(thread, nil)
    }
}

/// Stack of a lane or supervisor thread. With locked memory all of it is resident.
public let defaultStackByteCount = 1 << 20

/// Starts a thread with every signal blocked but those that its own faults raise, under a name of at most 15
/// bytes as `top -H` shows it (a longer one is cut).
public func startThread(
    name: String, stackByteCount: Int = defaultStackByteCount, body: sending @escaping () -> Void
) throws(SystemError) -> JoinableThread {
    try startThread(name: name, stackByteCount: stackByteCount, owning: ThreadBody(run: body)) { $0.run() }
}

/// As `startThread(name:body:)`, and `value` moves into the thread, which a closure cannot capture.
public func startThread<Value: ~Copyable>(
    name: String, stackByteCount: Int = defaultStackByteCount, owning value: consuming sending Value,
    body: @escaping @Sendable (consuming Value) -> Void
) throws(SystemError) -> JoinableThread {
    let place = UnsafeMutablePointer<Value>.allocate(capacity: 1)
    unsafe place.initialize(to: value)
    let start = ThreadStart(name: name) {
        let value = unsafe place.move()
        unsafe place.deallocate()
        body(value)
    }
    let handle = unsafe Unmanaged.passRetained(start)
    var thread = pthread_t()
    let result = unsafe linux_start_thread(
        &thread, stackByteCount,
        { argument in
            if let argument = unsafe argument {
                unsafe Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue().run()
            }
            return nil
        }, handle.toOpaque())
    guard result == 0 else {
        unsafe handle.release()
        unsafe place.deinitialize(count: 1)
        unsafe place.deallocate()
        throw SystemError(call: "pthread_create", errno: Errno(rawValue: -result), subject: name)
    }
    return JoinableThread(thread)
}

private struct ThreadBody { var run: () -> Void }

/// What crosses from the starting thread to the new one.
private final class ThreadStart {
    private let name: String
    private let body: () -> Void

    init(name: String, body: @escaping () -> Void) {
        self.name = name
        self.body = body
    }

    func run() {
        var short = ""
        for character in name.unicodeScalars where short.utf8.count + String(character).utf8.count <= 15 {
            short.unicodeScalars.append(character)
        }
        _ = unsafe linux_name_thread(short)
        body()
    }
}
