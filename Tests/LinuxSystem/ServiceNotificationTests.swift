import CLinux
import Glibc
import Testing

@testable import LinuxSystem

@Suite struct ServiceNotificationTests {
    /// A manager's socket.
    struct Manager: ~Copyable {
        let directory: TemporaryDirectory
        let socket: OwnedDescriptor
        var path: String { "\(directory.path)/notify" }

        init() throws {
            let directory = try TemporaryDirectory()
            let socket = try UnixAddress.makeSocket(SOCK_DGRAM, subject: "test")
            try check(
                UnixAddress(path: "\(directory.path)/notify").bind(socket.rawValue), "bind", directory.path)
            self.directory = directory
            self.socket = socket
        }

        func next() throws -> (text: String, descriptor: Int32) {
            _ = try ready(socket.rawValue, for: [.readable])
            var bytes = [UInt8](repeating: 0, count: 4096)
            var descriptor: Int32 = -1
            let count = bytes.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map {
                    linux_receive_with_descriptor(socket.rawValue, $0, buffer.count, &descriptor)
                } ?? 0
            }
            return (String(decoding: bytes[..<max(0, count)], as: UTF8.self), descriptor)
        }
    }

    @Test func saysWhatHappens() throws {
        let manager = try Manager()
        let service = ServiceNotification(socketPath: manager.path)
        try service.ready(status: "2 disks\nMAINPID=1")
        #expect(try manager.next().text == "READY=1\nSTATUS=2 disks MAINPID=1")
        try service.ready()
        #expect(try manager.next().text == "READY=1")
        try service.status("draining")
        #expect(try manager.next().text == "STATUS=draining")
        try service.watchdog()
        #expect(try manager.next().text == "WATCHDOG=1")
        try service.extendTimeout(milliseconds: 1500)
        #expect(try manager.next().text == "EXTEND_TIMEOUT_USEC=1500000")
        try service.removeStored(name: "lane0-disk1")
        #expect(try manager.next().text == "FDSTOREREMOVE=1\nFDNAME=lane0-disk1")
        try service.stopping()
        #expect(try manager.next().text == "STOPPING=1")
    }

    @Test func aStoredDescriptorArrives() throws {
        let manager = try Manager()
        let service = ServiceNotification(socketPath: manager.path)
        let pair = try SocketPair()
        try service.store(pair.laneEnd.rawValue, name: "lane0-disk1")
        let (text, number) = try manager.next()
        #expect(text == "FDSTORE=1\nFDNAME=lane0-disk1\nFDPOLL=0")
        try #require(number >= 0)
        let stored = OwnedDescriptor(adopting: number)
        #expect(sendText("kept", on: pair.kernelEnd.rawValue) == 4)
        #expect(try receiveText(on: stored.rawValue) == "kept")
    }

    @Test func nobodyListensIsAnError() {
        let service = ServiceNotification(socketPath: "/nonexistent/notify")
        #expect(throws: SystemError.self) { try service.watchdog() }
    }

    @Test func readsTheEnvironment() async {
        await #expect(processExitsWith: .success) {
            unsetenv("NOTIFY_SOCKET")
            #expect(ServiceNotification() == nil)
            setenv("NOTIFY_SOCKET", "vsock:2:1234", 1)
            #expect(ServiceNotification() == nil)
            setenv("NOTIFY_SOCKET", "@abstract", 1)
            #expect(ServiceNotification() != nil)

            setenv("WATCHDOG_USEC", "30000000", 1)
            #expect(ServiceNotification.watchdogMicroseconds() == 30_000_000)
            setenv("WATCHDOG_PID", "1", 1)
            #expect(ServiceNotification.watchdogMicroseconds() == nil)
        }
    }

    @Test func takesPassedDescriptorsOnce() async {
        await #expect(processExitsWith: .success) {
            // Places 3 and 4 may be in use by the test's own machinery; they are put back by the end of the
            // process.
            let pair = try SocketPair()
            #expect(dup2(pair.kernelEnd.rawValue, 3) == 3 && dup2(pair.laneEnd.rawValue, 4) == 4)
            setenv("LISTEN_PID", "1", 1)
            setenv("LISTEN_FDS", "2", 1)
            #expect(PassedDescriptors.take().isEmpty)
            setenv("LISTEN_PID", "\(getpid())", 1)
            setenv("LISTEN_FDS", "2", 1)
            setenv("LISTEN_FDNAMES", "control", 1)
            let passed = PassedDescriptors.take()
            #expect(passed.map(\.name) == ["control", "unknown"])
            #expect(passed.map(\.descriptor) == [3, 4])
            #expect(fcntl(3, F_GETFD) & FD_CLOEXEC != 0)
            #expect(getenv("LISTEN_FDS") == nil)
            #expect(PassedDescriptors.take().isEmpty)
        }
    }
}
