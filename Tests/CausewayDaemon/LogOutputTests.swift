import Glibc
import Logging
import Testing

@testable import CausewayDaemon

/// The log as its reader gets it, and a reader that does not read.
@Suite struct LogOutputTests {
    private func makePipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    private func readSome(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }

    @Test func oneLineAnEventWhateverItQuotes() throws {
        let ends = try makePipe()
        let output = try LogOutput(descriptor: ends.write)
        let logger = Logger(label: "test") { _ in LogLines(output: output, isJournal: true) }
        logger.warning("a target called\n\u{1b}[31mred", metadata: ["client": "process 7"])
        output.flush(milliseconds: 5000)
        #expect(readSome(ends.read) == "<4>a target called\\x0a\\x1b[31mred (client: process 7)\n")
        close(ends.read)
    }

    @Test func aReaderThatStopsReadingHoldsNobodyUp() throws {
        let ends = try makePipe()
        let output = try LogOutput(descriptor: ends.write)
        let line = String(repeating: "x", count: 99)
        // Far more than the pipe and both queues hold.
        for _ in 0..<50_000 { output.write(line) }
        output.flush(milliseconds: 50)
        var text = ""
        while !text.contains("lines of the log were lost") { text += readSome(ends.read) }
        #expect(text.hasPrefix(line + "\n"))
        close(ends.read)
    }
}
