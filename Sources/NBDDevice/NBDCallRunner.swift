import CNetlink
import Glibc
import Synchronization

/// Makes `NBDCall`s in processes of their own, with a time limit.
///
/// Why a process: a thread that hangs in the kernel's NBD driver cannot be ended, and a killed process keeps
/// its descriptors until its last thread is gone. If that process were the daemon, the daemon's ends of all
/// sockets would stay open, the kernel would see no EOF, and no successor could adopt the disks. The helper
/// process holds its answer socket and the kernel's ends, nothing else.
///
/// Use it from a control thread, never from a lane. The kernel does one NBD call at a time for the whole
/// machine: do not start a call while `overdueCalls` is not empty unless it is the one that frees the others.
public final class NBDCallRunner: Sendable {
    /// Where the process finds its end of the answer socket, and the first of the kernel's ends.
    static let answerDescriptor: Int32 = 3
    public static let firstSocket: Int32 = 4

    private let executable: String
    private let arguments: [String]
    private let overdue = Mutex<[RunningNBDCall]>([])

    /// - Parameter executable: a program that calls `NBDCallMain.runIfAsked()` first. The default is the
    ///   running program itself, also after a package upgrade has replaced its file.
    public convenience init(executable: String = "/proc/self/exe") {
        self.init(executable: executable, arguments: ["causewayd", NBDCallMain.argument])
    }

    init(executable: String, arguments: [String]) {
        self.executable = executable
        self.arguments = arguments
    }

    /// Starts the call and returns without waiting. The caller may close its copies of the kernel's ends at
    /// once.
    public func start(_ call: NBDCall) throws(NBDDeviceError) -> RunningNBDCall {
        var pair = [Int32](repeating: -1, count: 2)
        guard
            unsafe socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0
        else { throw .system(call: "socketpair", subject: "an NBD call", errno: errno) }
        do throws(NBDDeviceError) {
            defer { close(pair[1]) }
            // Sent before the process exists: it waits in the socket, and a start that fails leaves nothing
            // behind.
            let message = call.encoded()
            guard unsafe send(pair[0], message, message.count, Int32(MSG_NOSIGNAL)) == message.count
            else {
                throw .system(call: "send", subject: "an NBD call", errno: errno)
            }
            let pid = try ChildProcess.spawn(
                executable, arguments: arguments, descriptors: [pair[1]] + call.sockets)
            return RunningNBDCall(call: call, pid: pid, descriptor: pair[0])
        } catch {
            close(pair[0])
            throw error
        }
    }

    /// Makes the call and waits for its end, up to the limit. The process is not killed when the limit is
    /// over: a signal does not reach it in the kernel, and between two system calls it would take away the
    /// answer, such as the index of a device that has just been made. It stays in `overdueCalls`.
    public func run(_ call: NBDCall, timeLimitMilliseconds: Int) throws(NBDDeviceError) -> NBDCallOutcome {
        let running = try start(call)
        guard let result = running.wait(timeLimitMilliseconds: timeLimitMilliseconds) else {
            overdue.withLock { $0.append(running) }
            return .timedOut(running)
        }
        return .finished(try result.get())
    }

    /// Calls that ran out of their time and have not been collected.
    public var overdueCalls: [RunningNBDCall] { overdue.withLock { $0 } }

    /// Takes the overdue calls that have ended meanwhile out of the list, their processes reaped. Look at
    /// each: a late `connect` has made a device.
    public func collectOverdue() -> [RunningNBDCall] {
        overdue.withLock { calls in
            let ended = calls.filter { $0.wait(timeLimitMilliseconds: 0) != nil }
            calls.removeAll { call in ended.contains { $0 === call } }
            return ended
        }
    }
}

/// How a call in a helper process ended, as far as it was waited for.
public enum NBDCallOutcome: Sendable {
    case finished(NBDCallResult)
    /// Still running; `NBDCallRunner.collectOverdue` returns it when it has ended.
    case timedOut(RunningNBDCall)
}

/// One call in its process. Keep it until `wait` has returned a result: only that reaps the process.
public final class RunningNBDCall: Sendable {
    public let call: NBDCall
    public let pid: Int32
    /// Readable when the answer is there or the process has ended.
    public let descriptor: Int32

    private enum State {
        case waiting
        /// The answer is here and the process is about to end.
        case answered(Result<NBDCallResult, NBDDeviceError>?)
        case ended(Result<NBDCallResult, NBDDeviceError>)
    }
    private let state = Mutex<State>(.waiting)

    init(call: NBDCall, pid: Int32, descriptor: Int32) {
        self.call = call
        self.pid = pid
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// The result once the process has ended, so that the kernel's ends have no holder left but the kernel;
    /// nil when that did not happen in time.
    public func wait(timeLimitMilliseconds: Int) -> Result<NBDCallResult, NBDDeviceError>? {
        let deadline = monotonicMilliseconds() + timeLimitMilliseconds
        return state.withLock { state in
            while true {
                switch state {
                case .ended(let result):
                    return result
                case .waiting:
                    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                    let left = max(0, deadline - monotonicMilliseconds())
                    let ready = unsafe poll(&waiting, 1, Int32(clamping: left))
                    if ready == 0 { return nil }
                    if ready > 0 { state = .answered(receive()) }
                case .answered(let answer):
                    if let end = ChildProcess.poll(pid) {
                        state = .ended(answer ?? .failure(.helperFailed(end)))
                    } else if monotonicMilliseconds() > deadline {
                        return nil
                    } else {
                        sleepMilliseconds(1)
                    }
                }
            }
        }
    }

    /// nil at the end of the stream: the process ended without an answer.
    private func receive() -> Result<NBDCallResult, NBDDeviceError>? {
        var bytes = [UInt8](repeating: 0, count: NBDMessage.byteCountMax)
        var count = -1
        repeat {
            count = unsafe recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            // A process that ended without reading the call leaves a reset in front of what it said.
        } while count < 0 && (errno == EINTR || errno == ECONNRESET)
        guard count > 0 else { return nil }
        guard let answer = try? NBDAnswer(decoding: Array(bytes.prefix(count))) else {
            return .failure(.helperFailed(.unintelligible))
        }
        return answer.result
    }
}
