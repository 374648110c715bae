import CausewayControl
import Glibc

/// What the command prints, and where.
enum Terminal {
    static func write(_ lines: [String]) {
        emit((lines.joined(separator: "\n") + "\n").utf8.map { $0 }, to: STDOUT_FILENO)
    }

    /// JSON for programs: the keys are those of the interface io.causeway.
    static func writeJSON(_ value: some Encodable) throws(WireError) {
        emit(try MessageCodec.encodeText(value, pretty: true) + [UInt8(ascii: "\n")], to: STDOUT_FILENO)
    }

    static func complain(_ message: String, remedy: String? = nil) {
        var text = "causeway: \(message.escapedForTerminal)\n"
        if let remedy, !remedy.isEmpty { text += "  \(remedy.escapedForTerminal)\n" }
        emit(Array(text.utf8), to: STDERR_FILENO)
    }

    /// Output that cannot be delivered ends the command with status 1; a reader that has gone, by SIGPIPE.
    private static func emit(_ bytes: [UInt8], to descriptor: Int32) {
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { all in
                unsafe Glibc.write(
                    descriptor, all.baseAddress.map { unsafe $0 + written }, all.count - written)
            }
            if count >= 0 {
                written += count
            } else if errno != EINTR {
                exit(EXIT_FAILURE)
            }
        }
    }
}
