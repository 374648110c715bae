import CNetlink
import Glibc

/// The other half of `NBDCallRunner`: what the started process does.
///
/// It sets no `PR_SET_PDEATHSIG`. The signal would come when the *thread* that started the process ends, not
/// the daemon; it cannot end a call that hangs in the kernel; and where it could end one, between two system
/// calls, it would leave half a job. A helper that outlives its daemon holds nothing that a successor waits
/// for, and the device that it may still make carries the backend identifier by which a successor finds it.
/// A resize alone may wait for the daemon (`NBDControl.resize`): it is not begun when that has ended.
public enum NBDCallMain {
    /// The hidden argument.
    public static let argument = "--nbd-call"

    /// Call first in `main`, before any thread, event loop or memory lock exists: returns at once unless this
    /// process was started by `NBDCallRunner`.
    public static func runIfAsked() {
        let arguments = CommandLine.arguments
        if arguments.count == 2, arguments[1] == argument { run() }
    }

    /// Reads one call from descriptor 3, makes it, answers, ends. The sockets of the call are descriptors 4,
    /// 5, ….
    public static func run() -> Never {
        let answerDescriptor = NBDCallRunner.answerDescriptor
        var bytes = [UInt8](repeating: 0, count: NBDMessage.byteCountMax)
        let count = unsafe recv(answerDescriptor, &bytes, bytes.count, 0)
        guard count > 0,
            let call = try? NBDCall(
                decoding: Array(bytes.prefix(count)), firstSocket: NBDCallRunner.firstSocket)
        else {
            let words = "\(argument) is for causewayd's own use\n"
            _ = unsafe write(2, words, words.utf8.count)
            _exit(64)
        }
        let result = Result { () throws(NBDDeviceError) in try call.perform(for: answerDescriptor) }
        let answer = NBDAnswer(result).encoded()
        // Whether the daemon is still there to read it makes no difference to what was done.
        let sent = unsafe send(answerDescriptor, answer, answer.count, Int32(MSG_NOSIGNAL))
        _exit(sent == answer.count ? 0 : 1)
    }
}
