import CausewayControl
import CausewayDaemon
import Glibc
import Logging
import Synchronization
import Testing

/// A server on a socket in a folder of its own, with disks in memory. It ends with the test.
final class ServerWorld: Sendable {
    let folder: String
    let service = FakeDiskService()
    let server: ControlServer
    private let reader = Mutex(false)

    var path: String { folder + "/run/io.causeway" }

    init(_ change: (inout ControlServer.Configuration) -> Void = { _ in }) throws {
        folder = try #require(temporaryFolder())
        var configuration = ControlServer.Configuration(path: folder + "/run/io.causeway")
        // The tests' own user counts as root.
        configuration.access = { _ in .full }
        configuration.graceMilliseconds = 10_000
        change(&configuration)
        server = try ControlServer(
            configuration, service: service, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    deinit {
        server.stop()
        unlink(path + ".lock")
        rmdir(folder + "/run")
        rmdir(folder)
    }

    func client() throws -> ControlClient { try ControlClient(path: path) }

    /// A connection that speaks raw bytes.
    func socket() throws -> UnixSocket {
        let socket = try UnixSocket.connect(to: path)
        // No test may hang for ever on a server that does not answer.
        try socket.setTimeouts(receiveMilliseconds: 60_000, sendMilliseconds: 60_000)
        return socket
    }
}

func temporaryFolder() -> String? {
    var template = Array("/tmp/causeway-test-XXXXXX".utf8CString)
    return template.withUnsafeMutableBufferPointer { buffer in
        buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
}

func pauseShortly() {
    usleep(2000)
}

/// Waits until it holds; false after a long while.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<10_000 {
        if try condition() { return true }
        pauseShortly()
    }
    return false
}

extension UnixSocket {
    /// Everything up to the peer's end of the stream.
    func receiveAll() -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while let count = try? receive(into: &buffer), count > 0 { all += buffer[..<count] }
        return all
    }

    /// The next message, without its NUL.
    func receiveMessage(_ framer: inout MessageFramer) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            if let message = try framer.next() { return String(decoding: message, as: UTF8.self) }
            let count = try receive(into: &buffer)
            try #require(count > 0, "the server closed the connection")
            framer.append(buffer[..<count])
        }
    }
}
