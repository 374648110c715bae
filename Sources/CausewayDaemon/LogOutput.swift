import CausewayControl
import Glibc
import LinuxSystem
import Logging
import Synchronization

/// Lines on their way to standard error, written by a thread of their own.
///
/// Who reads them may stop doing so, for instance because its own disk is one of ours. That must hold up
/// neither a client nor the thread that hears of lost links, so when the reader is too slow lines are
/// dropped, and counted.
final class LogOutput: Sendable {
    /// Lines that wait at most.
    private static let capacity = 4096

    private let lines: Mailbox<String>
    private let descriptor: Int32
    private let lost = Atomic<UInt64>(0)
    private let accepted = Atomic<UInt64>(0)
    private let written = Atomic<UInt64>(0)

    init(descriptor: Int32 = STDERR_FILENO) throws(SystemError) {
        lines = try Mailbox(capacity: Self.capacity)
        self.descriptor = descriptor
        let thread = try startThread(name: "causeway log") { [self] in run() }
        _ = consume thread
    }

    /// Never waits.
    func write(_ line: String) {
        if lines.send(line) {
            accepted.wrappingAdd(1, ordering: .relaxed)
        } else {
            lost.wrappingAdd(1, ordering: .relaxed)
        }
    }

    /// Waits until everything is written that was accepted before, but not for a reader that has stopped
    /// reading.
    func flush(milliseconds: Int) {
        let goal = accepted.load(ordering: .relaxed)
        for _ in 0..<max(milliseconds / 10, 1) {
            if written.load(ordering: .acquiring) >= goal { return }
            Pause.milliseconds(10)
        }
    }

    private func run() {
        while true {
            var event = pollfd(fd: lines.descriptor, events: Int16(POLLIN), revents: 0)
            _ = unsafe poll(&event, 1, -1)
            for line in lines.takeAll() {
                emit(line + "\n")
                written.wrappingAdd(1, ordering: .releasing)
            }
            let lost = lost.exchange(0, ordering: .relaxed)
            if lost > 0 { emit("\(lost) lines of the log were lost: its reader was too slow\n") }
        }
    }

    private func emit(_ text: String) {
        let bytes = Array(text.utf8)
        var count = 0
        while count < bytes.count {
            let written = unsafe bytes[count...].withUnsafeBytes { rest in
                unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
            }
            if written > 0 {
                count += written
            } else if errno == EAGAIN {
                // Whoever shares the terminal or pipe has made it non-blocking.
                var event = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = unsafe poll(&event, 1, -1)
            } else if errno != EINTR {
                return
            }
        }
    }
}

/// One line an event: for a journal with its level in front (sd-daemon(3)), otherwise with time and level in
/// words.
struct LogLines: LogHandler {
    let output: LogOutput
    let isJournal: Bool
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()

    init(output: LogOutput, isJournal: Bool) {
        self.output = output
        self.isJournal = isJournal
    }

    /// Whether systemd has connected standard error with its journal.
    static var isUnderJournal: Bool { unsafe getenv("JOURNAL_STREAM") != nil }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var text = event.message.description
        let facts = metadata.merging(event.metadata ?? [:]) { $1 }
        if !facts.isEmpty {
            let words = facts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
            text += " (\(words.joined(separator: ", ")))"
        }
        // One line each, whatever a message quotes.
        text = text.escapedForTerminal
        output.write(
            isJournal ? "<\(priority(event.level))>\(text)" : "\(WallClock.text()) \(event.level): \(text)")
    }

    /// syslog(3).
    private func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
