import CLinux
import Glibc
import Synchronization
import Testing

@testable import LinuxSystem

@Suite struct ThreadTests {
    @Test func hasItsNameAndNoSignals() throws {
        let seen = Mutex<(name: String, status: String)>(("", ""))
        let thread = try startThread(name: "lane 0 of the long name") {
            let name = (try? SmallFile.read("/proc/thread-self/comm")) ?? ""
            let status = (try? SmallFile.read("/proc/thread-self/status")) ?? ""
            seen.withLock { $0 = (name, status) }
        }
        thread.join()
        let (name, status) = seen.withLock { $0 }
        #expect(name == "lane 0 of the l\n")
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("SigBlk:") })
        let blocked = try #require(UInt64(line.dropFirst("SigBlk:\t".count), radix: 16))
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD, SIGUSR1] {
            #expect(blocked >> UInt64(signal - 1) & 1 == 1, "signal \(signal)")
        }
        for signal in [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT] {
            #expect(blocked >> UInt64(signal - 1) & 1 == 0, "signal \(signal)")
        }
    }

    @Test func movesAValueIntoTheThread() throws {
        let pair = try SocketPair()
        let far = pair.kernelEnd
        let near = pair.laneEnd
        let thread = try startThread(name: "owner", owning: near) { socket in
            _ = sendText("from the thread", on: socket.rawValue)
        }
        #expect(try receiveText(on: far.rawValue) == "from the thread")
        // The thread's value has gone with it, and the socket is closed.
        #expect(try receiveText(on: far.rawValue) == "")
        thread.join()
    }

    @Test func anImpossibleStackIsAnError() throws {
        let pair = try SocketPair()
        let far = pair.kernelEnd
        let error = #expect(throws: SystemError.self) {
            let thread = try startThread(name: "no stack", stackByteCount: 1) {}
            thread.join()
        }
        #expect(error?.errno == .invalidArgument)
        #expect(far.rawValue >= 0)
    }
}
