import CausewayControl
import CausewayDaemon
import Glibc
import Testing

/// Server and client over a real socket.
@Suite struct ControlServerTests {
    private static let iqn = "iqn.2001-04.com.example:a"

    private func name(_ text: String) throws -> DiskName { try DiskName(text) }

    private func attach(_ text: String, interfaces: [String] = ["eth1", "eth2"], lun: UInt64 = 1) throws
        -> AttachRequest
    {
        AttachRequest(
            name: try name(text), target: Self.iqn,
            portals: [PortalAddress(host: "10.0.1.1"), PortalAddress(host: "10.0.2.1")],
            interfaces: interfaces,
            lun: lun)
    }

    private func refusal(_ body: () throws -> Void) -> ControlError.Kind? {
        do {
            try body()
        } catch ControlClientError.refused(let error) {
            return error.kind
        } catch {}
        return nil
    }

    private func listRefusal(_ world: ServerWorld) -> ControlError.Kind? {
        refusal {
            var client = try world.client()
            _ = try client.list()
        }
    }

    @Test func everyMethodOnOneConnection() throws {
        let world = try ServerWorld()
        var client = try world.client()
        #expect(try client.list().isEmpty)
        let report = try client.attach(try attach("data1"))
        #expect(report.device == "/dev/nbd0")
        #expect(report.paths.count == 4)
        #expect(try client.status(try name("data1")) == report)
        #expect(try client.list().map(\.name.text) == ["data1"])
        try client.detach(DetachRequest(name: try name("data1")))
        #expect(try client.list().isEmpty)
        let discovery = try client.discover(
            DiscoverRequest(portals: [PortalAddress(host: "10.0.0.1")], interfaces: ["eth1"], luns: true))
        #expect(discovery.targets.map(\.name) == [Self.iqn])
        #expect(discovery.targets.first?.luns.first?.model == "\u{1b}[31mred")
    }

    @Test func theServiceDescribesItself() throws {
        let world = try ServerWorld()
        var client = try world.client()
        let info = try client.serviceInfo()
        #expect(info.version == CausewayVersion.current)
        #expect(info.interfaces == ["org.varlink.service", "io.causeway"])
        #expect(try client.interfaceDescription("io.causeway") == InterfaceDescription.causeway)
        #expect(try client.interfaceDescription("org.varlink.service") == InterfaceDescription.service)
        #expect(
            throws: ControlClientError.notUnderstood(
                name: "org.varlink.service.InterfaceNotFound", detail: "io.other")
        ) { try client.interfaceDescription("io.other") }
    }

    @Test func errorsArriveWhole() throws {
        let world = try ServerWorld()
        var client = try world.client()
        let request = try attach("data1", lun: 2)
        let expected = ControlError.loginRefused(
            Self.iqn, portal: request.portals[0], initiator: "iqn.2001-04.com.example:host", statusClass: 2,
            statusDetail: 1, reason: "authentication failure")
        #expect(throws: ControlClientError.refused(expected)) { try client.attach(request) }
        #expect(
            refusal { _ = try client.attach(try attach("data1", interfaces: ["eth9"])) } == .noSuchInterface)
        #expect(refusal { _ = try client.attach(try attach("data1", lun: 9)) } == .noSuchLUN)
        #expect(refusal { _ = try client.status(try name("none")) } == .noSuchDisk)
        var locked = try attach("data1")
        locked.readOnly = true
        _ = try client.attach(locked)
        #expect(refusal { _ = try client.attach(try attach("data1")) } == .alreadyAttached)
        #expect(
            throws: ControlClientError.refused(
                .deviceInUse(
                    try name("data1"), device: "/dev/nbd0", holders: ["mounted on /srv", "process 812 (fio)"])
            )
        ) { try client.detach(DetachRequest(name: try name("data1"))) }
        try client.detach(DetachRequest(name: try name("data1"), force: true))
        // The daemon checks what the client did not.
        #expect(refusal { _ = try client.discover(DiscoverRequest(portals: [])) } == .invalidArgument)
    }

    @Test func whoIsNotRootMayOnlyLook() throws {
        let world = try ServerWorld { $0.access = { _ in .readOnly } }
        var client = try world.client()
        #expect(refusal { _ = try client.attach(try attach("data1")) } == .permissionDenied)
        #expect(refusal { try client.detach(DetachRequest(name: try name("data1"))) } == .permissionDenied)
        #expect(
            refusal { _ = try client.discover(DiscoverRequest(portals: [PortalAddress(host: "10.0.0.1")])) }
                == .permissionDenied)
        #expect(try client.list().isEmpty)
        #expect(refusal { _ = try client.status(try name("data1")) } == .noSuchDisk)
        #expect(try client.serviceInfo().product == "causewayd")
    }

    @Test func theKernelSaysWhoAsks() throws {
        let world = try ServerWorld {
            $0.access = {
                $0.userID == getuid() && $0.groupID == getgid() && $0.processID == getpid()
                    ? .full : .readOnly
            }
        }
        var client = try world.client()
        #expect(try client.attach(try attach("data1")).name.text == "data1")
        #expect(Access.byUser(PeerCredentials(processID: 1, userID: 0, groupID: 5)) == .full)
        #expect(Access.byUser(PeerCredentials(processID: 1, userID: 1000, groupID: 0)) == .readOnly)
    }

    @Test func theSocketIsForRootAndItsGroup() throws {
        let world = try ServerWorld()
        var status = stat()
        #expect(stat(world.path, &status) == 0)
        #expect(status.st_mode & S_IFMT == S_IFSOCK)
        #expect(status.st_mode & 0o777 == 0o660)
        #expect(status.st_uid == geteuid())
    }

    @Test func callsInOneWriteAreAnsweredInOrder() throws {
        let world = try ServerWorld()
        let socket = try world.socket()
        defer { socket.close() }
        var framer = MessageFramer(limitBytes: MessageFramer.replyLimitBytes)
        let calls = [
            #"{"method":"io.causeway.List"}"#, #"{"method":"io.causeway.List","oneway":true}"#,
            #"{"method":"io.causeway.Nothing","parameters":{}}"#, #"{"method":"Nothing"}"#,
            #"{"method":"io.causeway.Status"}"#, #"{"method":"io.causeway.Status","parameters":[]}"#,
            #"{"method":"io.causeway.Status","parameters":{"name":"Bad"},"more":true}"#,
        ]
        try socket.send(calls.flatMap { Array($0.utf8) + [0] })
        let replies = [
            #"{"parameters":{"disks":[]}}"#,
            #"{"error":"org.varlink.service.MethodNotFound","parameters":{"method":"io.causeway.Nothing"}}"#,
            #"{"error":"org.varlink.service.InterfaceNotFound","parameters":{"interface":"Nothing"}}"#,
            #"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"name"}}"#,
            #"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"parameters"}}"#,
        ]
        for reply in replies { #expect(try socket.receiveMessage(&framer) == reply) }
        #expect(try socket.receiveMessage(&framer).hasPrefix(#"{"error":"io.causeway.InvalidName","#))
    }

    @Test func aCallSplitAtEveryByteIsUnderstood() throws {
        let world = try ServerWorld()
        let socket = try world.socket()
        defer { socket.close() }
        var framer = MessageFramer(limitBytes: MessageFramer.replyLimitBytes)
        let call = Array(#"{"method":"io.causeway.List"}"#.utf8) + [0]
        for cut in call.indices {
            try socket.send(Array(call[..<cut]))
            pauseShortly()
            try socket.send(Array(call[cut...]))
            #expect(try socket.receiveMessage(&framer) == #"{"parameters":{"disks":[]}}"#)
        }
    }

    @Test(arguments: [
        "\0", "{\0", "GET / HTTP/1.1\r\n\r\n\0", "[]\0", "{}\0", "\u{1}\0",
        #"{"method":"io.causeway.List","upgrade":true}"# + "\0",
    ])
    func garbageEndsTheConnectionOnly(text: String) throws {
        let world = try ServerWorld()
        let socket = try world.socket()
        defer { socket.close() }
        try socket.send(Array(text.utf8))
        #expect(socket.receiveAll().isEmpty)
        var client = try world.client()
        #expect(try client.list().isEmpty)
    }

    @Test(arguments: [0x20, 0x5b, 0x22] as [UInt8])
    func anEndlessMessageEndsTheConnectionOnly(byte: UInt8) throws {
        let world = try ServerWorld()
        let socket = try world.socket()
        defer { socket.close() }
        // The server hangs up in the middle, so the rest may not arrive.
        try? socket.send([UInt8](repeating: byte, count: MessageFramer.callLimitBytes + 100_000))
        #expect(socket.receiveAll().isEmpty)
        var client = try world.client()
        #expect(try client.list().isEmpty)
    }

    @Test func deepNestingIsRefused() throws {
        let world = try ServerWorld()
        let socket = try world.socket()
        defer { socket.close() }
        try socket.send(
            Array(#"{"method":"io.causeway.List","parameters":"#.utf8)
                + [UInt8](repeating: 0x5b, count: 900_000) + [0])
        #expect(socket.receiveAll().isEmpty)
        var client = try world.client()
        #expect(try client.list().isEmpty)
    }

    @Test func clientsThatVanishDoNoHarm() throws {
        let world = try ServerWorld()
        for _ in 0..<100 {
            let socket = try world.socket()
            // Gone before the answers, which are then written to nobody.
            try socket.send(
                (0..<10).flatMap { _ in Array(#"{"method":"io.causeway.List"}"#.utf8) + [0] } + [0x7b])
            socket.close()
        }
        #expect(eventually { listRefusal(world) == nil })
    }

    @Test func aClientThatVanishesDuringItsCallDoesNoHarm() throws {
        let world = try ServerWorld()
        world.service.hold(true)
        let socket = try world.socket()
        try socket.send(Array(#"{"method":"io.causeway.Status","parameters":{"name":"d"}}"#.utf8) + [0])
        #expect(eventually { world.service.waitingCount == 1 })
        socket.close()
        world.service.hold(false)
        #expect(eventually { world.service.waitingCount == 0 })
        var client = try world.client()
        #expect(try client.list().isEmpty)
    }

    @Test func clientsAreServedSideBySide() throws {
        let world = try ServerWorld()
        world.service.hold(true)
        let slow = try world.socket()
        defer { slow.close() }
        try slow.send(Array(#"{"method":"io.causeway.Status","parameters":{"name":"d"}}"#.utf8) + [0])
        #expect(eventually { world.service.waitingCount == 1 })
        var client = try world.client()
        #expect(try client.list().isEmpty)
        world.service.hold(false)
        var framer = MessageFramer(limitBytes: MessageFramer.replyLimitBytes)
        #expect(try slow.receiveMessage(&framer).contains("io.causeway.NoSuchDisk"))
    }

    @Test func readersCannotLockRootOut() throws {
        let world = try ServerWorld {
            $0.connectionsMax = 4
            $0.readOnlyConnectionsMax = 2
            $0.access = { _ in .readOnly }
        }
        let first = try world.socket()
        let second = try world.socket()
        #expect(eventually { listRefusal(world) == .busy })
        first.close()
        // The place is free again once the server has seen that its client has gone.
        #expect(eventually { listRefusal(world) == nil })
        second.close()
    }

    @Test func aFullServerSaysSo() throws {
        let world = try ServerWorld { $0.connectionsMax = 2 }
        let sockets = [try world.socket(), try world.socket()]
        #expect(eventually { listRefusal(world) == .busy })
        for socket in sockets { socket.close() }
        #expect(eventually { listRefusal(world) == nil })
    }

    @Test func aSilentReaderIsSentAway() throws {
        let world = try ServerWorld {
            $0.patienceMilliseconds = 50
            $0.access = { _ in .readOnly }
        }
        let silent = try world.socket()
        defer { silent.close() }
        #expect(silent.receiveAll().isEmpty)
        // One that dribbles bytes without ever ending a call is no better.
        let dribbler = try world.socket()
        defer { dribbler.close() }
        #expect(
            eventually {
                do throws(SystemCallError) {
                    try dribbler.send([0x20])
                    return false
                } catch {
                    return true
                }
            })
    }

    @Test func stopEndsIdleConnectionsAndLetsCallsFinish() throws {
        let world = try ServerWorld()
        let idle = try world.socket()
        defer { idle.close() }
        let busy = try world.socket()
        defer { busy.close() }
        world.service.hold(true)
        try busy.send(Array(#"{"method":"io.causeway.Status","parameters":{"name":"d"}}"#.utf8) + [0])
        #expect(eventually { world.service.waitingCount == 1 })
        let stopper = try Background { world.server.stop() }
        #expect(idle.receiveAll().isEmpty)
        world.service.hold(false)
        let answer = String(decoding: busy.receiveAll(), as: UTF8.self)
        #expect(answer.contains("io.causeway.NoSuchDisk"))
        stopper.join()
        #expect(throws: ControlClientError.notRunning(path: world.path)) {
            _ = try ControlClient(path: world.path)
        }
        world.server.stop()
    }

    @Test func stopDoesNotWaitForEverForACall() throws {
        let world = try ServerWorld { $0.graceMilliseconds = 50 }
        world.service.hold(true)
        let socket = try world.socket()
        defer { socket.close() }
        try socket.send(Array(#"{"method":"io.causeway.Status","parameters":{"name":"d"}}"#.utf8) + [0])
        #expect(eventually { world.service.waitingCount == 1 })
        world.server.stop()
        #expect(world.service.waitingCount == 1)
        world.service.hold(false)
        #expect(eventually { world.service.waitingCount == 0 })
    }

    @Test func aSecondDaemonIsRefusedAndADeadOnesSocketReplaced() throws {
        let world = try ServerWorld()
        let configuration = ControlServer.Configuration(path: world.path)
        #expect(throws: ControlServerError.anotherDaemon(path: world.path)) {
            try ControlServer(configuration, service: world.service, logger: .init(label: "test"))
        }
        var client = try world.client()
        #expect(try client.list().isEmpty)

        let folder = try #require(temporaryFolder())
        let path = folder + "/s"
        let left = try UnixSocket.listen(at: path, mode: 0o600, group: nil)
        left.close()
        let next = try ControlServer(
            ControlServer.Configuration(path: path), service: world.service, logger: .init(label: "test"))
        var nextClient = try ControlClient(path: path)
        #expect(try nextClient.list().isEmpty)
        next.stop()
        #expect(access(path, F_OK) != 0)
        unlink(path + ".lock")
        rmdir(folder)
    }

    @Test func nothingButASocketIsReplaced() throws {
        let folder = try #require(temporaryFolder())
        let path = folder + "/s"
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        #expect(throws: ControlServerError.notASocket(path: path)) {
            try ControlServer(
                ControlServer.Configuration(path: path), service: FakeDiskService(),
                logger: .init(label: "test"))
        }
        #expect(access(path, F_OK) == 0)
        unlink(path)
        unlink(path + ".lock")
        rmdir(folder)
    }

    @Test func noDaemonIsSaidPlainly() throws {
        let path = "/tmp/causeway-test-nothing-here/s"
        #expect(throws: ControlClientError.notRunning(path: path)) { _ = try ControlClient(path: path) }
        let error = ControlClientError.notRunning(path: path)
        #expect(error.message == "the daemon is not running (no answer on \(path))")
        #expect(error.remedy == "start it with: systemctl start causewayd")
    }

    @Test func descriptorsAreGivenBack() throws {
        let world = try ServerWorld()
        func count() -> Int { (0..<1024).count { fcntl(Int32($0), F_GETFD) >= 0 } }
        var client = try world.client()
        _ = try client.list()
        for _ in 0..<600 {
            var other = try world.client()
            _ = try other.list()
        }
        // Other tests run beside this one, so only a leak as large as the loop counts.
        #expect(eventually { count() < 512 })
    }
}
