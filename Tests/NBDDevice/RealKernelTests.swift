import CNetlink
import Glibc
import Testing

@testable import NBDDevice

/// Why the kernel's NBD driver cannot be used here, nil if it can; tries to load it.
private let obstacle: String? = {
    guard geteuid() == 0 else { return "needs root" }
    do throws(NBDDeviceError) {
        _ = try NBDControl().status()
        return nil
    } catch {
        return error.description
    }
}()

/// Against the kernel's own driver, with a server in this process. Runs as root where there is one, such as
/// inside User Mode Linux.
@Suite(
    .serialized,
    .enabled(if: obstacle == nil, "to be run inside User Mode Linux: \(obstacle ?? "")"))
struct RealKernelTests {
    let runner = NBDCallRunner()
    static let backend = "causeway-test:disk"
    static let limit = 20_000

    private func request(
        index: UInt32? = nil, socket: Int32, sizeBytes: UInt64 = 64 << 20, backend: String = Self.backend,
        clientFlags: NBDClientFlags = .destroyOnDisconnect
    ) -> ConnectRequest {
        ConnectRequest(
            index: index, sizeBytes: sizeBytes, blockSizeBytes: 4096, timeoutSeconds: 0,
            deadConnectionTimeoutSeconds: 600, serverFlags: [.hasFlags, .sendFlush, .sendFUA, .sendTrim],
            clientFlags: clientFlags, backendIdentifier: backend, sockets: [socket])
    }

    /// The way the daemon does it: helper process, then the kernel's end closed.
    private func connected(
        _ index: UInt32? = nil, disk: MemoryDisk = MemoryDisk()
    ) throws -> (KernelDevice, TinyServer) {
        var pair = try KernelSocketPair()
        let outcome = try runner.run(
            .connect(request(index: index, socket: pair.kernelEnd)), timeLimitMilliseconds: Self.limit)
        pair.closeKernelEnd()
        guard case .finished(.connected(let index)) = outcome else { throw Unexpected(what: "\(outcome)") }
        let server = TinyServer(on: pair.takeDaemonEnd(), serving: disk)
        let device = KernelDevice(index: index)
        guard device.waitForNode(timeLimitMilliseconds: Self.limit) else { throw Unexpected(what: "no node") }
        return (device, server)
    }

    private struct Unexpected: Error { var what: String }

    private func finish(_ device: KernelDevice, _ server: TinyServer) throws {
        try NBDControl().disconnect(index: device.index)
        server.stop()
        #expect(device.waitUntilGone(timeLimitMilliseconds: Self.limit))
    }

    private func isZero(_ device: KernelDevice, at offset: Int) -> Bool {
        let descriptor = open(device.node, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0xff, count: 65536)
        guard pread(descriptor, &bytes, bytes.count, offset) == bytes.count else { return false }
        return bytes.allSatisfy { $0 == 0 }
    }

    private func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
        for _ in 0..<2000 {
            if try condition() { return true }
            sleepMilliseconds(10)
        }
        return false
    }

    @Test func connectReadDisconnect() throws {
        let (device, server) = try connected()
        #expect(device.isConfigured)
        #expect(try device.sizeBytes == 64 << 20)
        #expect(try device.logicalBlockSizeBytes == 4096)
        #expect(try !device.isReadOnly)
        #expect(device.backendIdentifier == Self.backend)
        #expect(KernelDevice.all().contains(device))
        #expect(try NBDControl().status().contains(DeviceStatus(index: device.index, connected: true)))
        let queue = "/sys/block/\(device.name)/queue/"
        #expect(try SystemFile.read(queue + "write_cache") == "write back")
        #expect(try SystemFile.read(queue + "fua") == "1")
        #expect(try SystemFile.read(queue + "discard_granularity") == "4096")
        #expect(isZero(device, at: 1 << 20))
        #expect(server.counts.reads > 0)

        try NBDControl().disconnect(index: device.index)
        #expect(eventually { server.counts.hungUp })
        #expect(server.counts.disconnects == 1)
        server.stop()
        #expect(device.waitUntilGone(timeLimitMilliseconds: Self.limit))
        #expect(throws: NBDDeviceError.refused(.disconnect, index: device.index, errno: EINVAL)) {
            try NBDControl().disconnect(index: device.index)
        }
    }

    @Test func queueSettingsAreTaken() throws {
        let (device, server) = try connected()
        #expect(try device.queueSettings().ioTimeoutMilliseconds == 30000)
        let wanted = QueueSettings(
            ioTimeoutMilliseconds: 5000, maxSectorsKilobytes: 1 << 20, readAheadKilobytes: 512,
            rotational: true,
            scheduler: "none")
        guard
            case .finished(.tuned(let now)) = try runner.run(
                .tune(index: device.index, wanted), timeLimitMilliseconds: Self.limit)
        else {
            Issue.record("not tuned")
            return
        }
        #expect(now.ioTimeoutMilliseconds == 5000)
        #expect(now.maxSectorsKilobytes == 32768)
        #expect(now.readAheadKilobytes == 512)
        #expect(now.rotational == true)
        #expect(now.scheduler == "none")
        try device.announceChange()
        try finish(device, server)
    }

    /// From Linux 6.12 on the kernel would wait for what that server has not answered, for ever.
    @Test func aServerThatHasEndedIsGivenNoNewSize() throws {
        let (device, server) = try connected()
        let larger = NBDCall.resize(
            ResizeRequest(index: device.index, backendIdentifier: Self.backend, sizeBytes: 65 << 20))
        let caller = try KernelSocketPair().takeDaemonEnd()
        defer { close(caller) }
        #expect(throws: NBDDeviceError.invalid(.resize, reason: "the device's server has ended")) {
            try larger.perform(for: caller)
        }
        #expect(try device.sizeBytes == 64 << 20)
        #expect(try larger.perform() == .done)
        #expect(try device.sizeBytes == 65 << 20)
        try finish(device, server)
    }

    @Test func aConfiguredIndexIsBusyAtOnce() throws {
        let (device, server) = try connected(21)
        #expect(device.index == 21)
        let pair = try KernelSocketPair()
        let start = monotonicMilliseconds()
        #expect(throws: NBDDeviceError.refused(.connect, index: 21, errno: EBUSY)) {
            try NBDControl().connect(request(index: 21, socket: pair.kernelEnd))
        }
        print("refused after \(monotonicMilliseconds() - start) ms")
        try finish(device, server)
    }

    /// As udev does right after modprobe: open, not configured.
    @Test func anOpenIndexIsWaitedFor() throws {
        let (first, firstServer) = try connected(22)
        // Without the flag the device stays after its end.
        try finish(first, firstServer)
        var pair = try KernelSocketPair()
        let index = try NBDControl().connect(request(index: 22, socket: pair.kernelEnd, clientFlags: []))
        pair.closeKernelEnd()
        let server = TinyServer(on: pair.takeDaemonEnd())
        let device = KernelDevice(index: index)
        try NBDControl().disconnect(index: index)
        server.stop()
        #expect(eventually { !device.isConfigured })

        let held = open(device.node, O_RDONLY | O_CLOEXEC)
        #expect(held >= 0)
        var next = try KernelSocketPair()
        #expect(throws: NBDDeviceError.refused(.connect, index: 22, errno: EBUSY)) {
            try NBDControl().connect(
                request(index: 22, socket: next.kernelEnd), busyPatienceMilliseconds: 100)
        }
        let running = try runner.start(.connect(request(index: 22, socket: next.kernelEnd)))
        #expect(running.wait(timeLimitMilliseconds: 200) == nil)
        close(held)
        #expect(running.wait(timeLimitMilliseconds: Self.limit) == .success(.connected(index: 22)))
        next.closeKernelEnd()
        try finish(device, TinyServer(on: next.takeDaemonEnd()))
    }

    @Test func socketsThatTheDriverDoesNotTake() throws {
        var pair = [Int32](repeating: -1, count: 2)
        #expect(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0)
        defer {
            close(pair[0])
            close(pair[1])
        }
        let result = Result { () throws(NBDDeviceError) in try NBDControl().connect(request(socket: pair[1]))
        }
        // Kernels before the restriction to stream sockets take it.
        if case .success(let index) = result { try NBDControl().disconnect(index: index) }
        if case .failure(let error) = result {
            #expect(error == .refused(.connect, index: nil, errno: EINVAL))
        }
        let closed = Result { () throws(NBDDeviceError) in try NBDControl().connect(request(socket: 900)) }
        guard case .failure(.refused(.connect, nil, let errno)) = closed else {
            Issue.record("\(closed)")
            return
        }
        print("a descriptor that is not open: \(errnoText(errno))")
    }

    @Test func usersAreFoundAndKeepTheDevice() throws {
        let (device, server) = try connected()
        #expect(eventually { DeviceUser.find(of: device).isEmpty })

        // Another process that has it open: seen by the search, not by the claim.
        let pipe = try KernelSocketPair()
        let reader = try ChildProcess.spawn(
            "/bin/sh", arguments: ["sh", "-c", "exec 7<\(device.node); read line <&3"],
            descriptors: [pipe.kernelEnd])
        #expect(eventually { !DeviceUser.find(of: device).isEmpty })
        #expect(DeviceUser.find(of: device) == [.opener(pid: reader, command: "sh", device: device.name)])
        kill(reader, SIGKILL)
        _ = ChildProcess.reap(reader)

        // A claim of somebody else.
        do {
            let claim = try ExclusiveClaim(on: device)
            #expect(throws: NBDDeviceError.inUse(index: device.index)) {
                _ = try ExclusiveClaim(on: device)
            }
            #expect(throws: NBDDeviceError.inUse(index: device.index)) {
                try runner.run(.detach(index: device.index), timeLimitMilliseconds: Self.limit)
            }
            claim.release()
        }
        #expect(device.isConfigured)

        // Detach: claim, flush, disconnect, all in the helper process.
        let before = server.counts.flushes
        guard
            case .finished(.done) = try runner.run(
                .detach(index: device.index), timeLimitMilliseconds: Self.limit)
        else {
            Issue.record("not detached")
            return
        }
        #expect(eventually { server.counts.hungUp })
        #expect(server.counts.flushes > before)
        #expect(device.waitUntilGone(timeLimitMilliseconds: Self.limit))
        server.stop()
    }

    @Test func deathOfTheServerAndReconnect() throws {
        let (device, first) = try connected()
        #expect(isZero(device, at: 0))
        _ = try runner.run(
            .tune(index: device.index, QueueSettings(ioTimeoutMilliseconds: 1000)),
            timeLimitMilliseconds: Self.limit)

        // While its socket lives, another one is taken by the call and dropped by the kernel.
        var spare = try KernelSocketPair()
        try reconnect(device, spare.kernelEnd)
        spare.closeKernelEnd()
        #expect(KernelSocketPair.verifyAdopted(daemonEnd: spare.daemonEnd) == .dropped)

        first.stop()
        #expect(device.isConfigured)

        let pair = try KernelSocketPair()
        #expect(throws: NBDDeviceError.refused(.reconnect, index: device.index, errno: EINVAL)) {
            try reconnect(device, pair.kernelEnd, backend: "causeway-test:other")
        }
        let start = monotonicMilliseconds()
        let second = TinyServer(on: try adoptedSocket(of: device))
        print("reconnected and verified in \(monotonicMilliseconds() - start) ms")
        #expect(try device.queueSettings().ioTimeoutMilliseconds == 1000)
        #expect(isZero(device, at: 8 << 20))
        #expect(second.counts.reads > 0)

        // Resize is a call of its own.
        _ = try runner.run(
            .resize(ResizeRequest(index: device.index, backendIdentifier: Self.backend, sizeBytes: 96 << 20)),
            timeLimitMilliseconds: Self.limit)
        #expect(try device.sizeBytes == 96 << 20)
        #expect(try device.queueSettings().ioTimeoutMilliseconds == 1000)
        try finish(device, second)
    }

    private func reconnect(_ device: KernelDevice, _ socket: Int32, backend: String = Self.backend) throws {
        _ = try runner.run(
            .reconnect(ReconnectRequest(index: device.index, backendIdentifier: backend, sockets: [socket])),
            timeLimitMilliseconds: Self.limit)
    }

    /// The daemon's end of a socket that the kernel has taken in place of a dead one. It notices the death in
    /// a thread of its own, and until then it drops what it is offered.
    private func adoptedSocket(of device: KernelDevice) throws -> Int32 {
        for _ in 0..<100 {
            var pair = try KernelSocketPair()
            try reconnect(device, pair.kernelEnd)
            pair.closeKernelEnd()
            if KernelSocketPair.verifyAdopted(daemonEnd: pair.daemonEnd) != .dropped {
                return pair.takeDaemonEnd()
            }
            sleepMilliseconds(10)
        }
        throw Unexpected(what: "the kernel takes no socket")
    }

    /// What a daemon that is killed under load leaves behind: one request sent and unanswered, one not yet
    /// sent.
    @Test func requestsInFlightAreSentAgain() throws {
        let disk = MemoryDisk()
        let (device, first) = try connected(disk: disk)
        disk.bytes[16 << 20] = 0x5a
        _ = try runner.run(
            .tune(index: device.index, QueueSettings(ioTimeoutMilliseconds: 1000)),
            timeLimitMilliseconds: Self.limit)
        // Ends well only if block 4096 begins with 'Z' (0x5a).
        let reading = "dd if=\(device.node) bs=4096 count=1 skip=4096 iflag=direct 2>/dev/null | head -c 1"
        let read = {
            try ChildProcess.spawn(
                "/bin/sh", arguments: ["sh", "-c", "[ \"$(\(reading))\" = Z ]"], descriptors: [])
        }
        #expect(try ChildProcess.reap(read()) == .exited(status: 0))
        first.hold()
        let sent = try read()
        #expect(eventually { first.counts.held == 1 })
        first.stop()
        let parked = try read()
        sleepMilliseconds(100)
        #expect(ChildProcess.poll(sent) == nil)
        #expect(ChildProcess.poll(parked) == nil)

        let start = monotonicMilliseconds()
        let pair = try KernelSocketPair()
        try reconnect(device, pair.kernelEnd)
        let second = TinyServer(on: pair.takeDaemonEnd(), serving: disk)
        #expect(ChildProcess.reap(parked) == .exited(status: 0))
        let parkedMilliseconds = monotonicMilliseconds() - start
        #expect(ChildProcess.reap(sent) == .exited(status: 0))
        let sentMilliseconds = monotonicMilliseconds() - start
        print("parked read done after \(parkedMilliseconds) ms, sent one after \(sentMilliseconds) ms")
        try finish(device, second)
    }

    /// One partition of 32 MiB from sector 2048 on, of type Linux, in a master boot record.
    private func partitioned() -> MemoryDisk {
        let disk = MemoryDisk()
        disk.bytes[0x1be + 4] = 0x83
        disk.bytes.storeBytes(of: UInt32(2048 / 8).littleEndian, toByteOffset: 0x1be + 8, as: UInt32.self)
        disk.bytes.storeBytes(of: UInt32(65536 / 8).littleEndian, toByteOffset: 0x1be + 12, as: UInt32.self)
        disk.bytes[510] = 0x55
        disk.bytes[511] = 0xaa
        return disk
    }

    private func run(_ command: String) throws {
        #expect(
            try ChildProcess.reap(
                ChildProcess.spawn("/bin/sh", arguments: ["sh", "-c", command], descriptors: []))
                == .exited(status: 0), "\(command)")
    }

    @Test func aMountedPartitionIsNotDetached() throws {
        let (device, server) = try connected(disk: partitioned())
        // The first open reads the partition table.
        close(open(device.node, O_RDONLY | O_CLOEXEC))
        let part = device.name + "p1"
        #expect(eventually { device.members().map(\.name) == [device.name, part] })
        try run("/sbin/mkfs.ext2 -q /dev/\(part)")
        let point = "/tmp/nbd device mount"
        mkdir(point, 0o755)
        try #require(mount("/dev/\(part)", point, "ext4", 0, nil) == 0, "\(errnoText(errno))")

        #expect(DeviceUser.find(of: device).contains(.mount(point: point, device: part, seenBy: nil)))
        #expect(throws: NBDDeviceError.inUse(index: device.index)) {
            try runner.run(.detach(index: device.index), timeLimitMilliseconds: Self.limit)
        }
        #expect(device.isConfigured)

        // The same mount in a namespace of its own keeps the device when it is gone from ours.
        let pipe = try KernelSocketPair()
        let other = try ChildProcess.spawn(
            "/bin/sh",
            arguments: ["sh", "-c", "exec unshare -m --propagation private sh -c 'echo; read line' <&3 >&3"],
            descriptors: [pipe.kernelEnd])
        var byte: UInt8 = 0
        #expect(read(pipe.daemonEnd, &byte, 1) == 1)
        #expect(umount(point) == 0)
        #expect(DeviceUser.find(of: device) == [.mount(point: point, device: part, seenBy: other)])
        #expect(throws: NBDDeviceError.inUse(index: device.index)) { _ = try ExclusiveClaim(on: device) }
        kill(other, SIGKILL)
        _ = ChildProcess.reap(other)
        rmdir(point)

        #expect(eventually { (try? ExclusiveClaim(on: device))?.release() != nil })
        guard
            case .finished(.done) = try runner.run(
                .detach(index: device.index), timeLimitMilliseconds: Self.limit)
        else {
            Issue.record("not detached")
            return
        }
        server.stop()
        #expect(device.waitUntilGone(timeLimitMilliseconds: Self.limit))
    }

    @Test func swapSpaceIsFound() throws {
        let (device, server) = try connected()
        try run("/sbin/mkswap -q \(device.node) || /sbin/mkswap \(device.node)")
        try run("/sbin/swapon \(device.node)")
        #expect(DeviceUser.find(of: device) == [.swap(device: device.name)])
        #expect(throws: NBDDeviceError.inUse(index: device.index)) { _ = try ExclusiveClaim(on: device) }
        try run("/sbin/swapoff \(device.node)")
        try finish(device, server)
    }
}
