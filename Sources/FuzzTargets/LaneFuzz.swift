import CausewayCore

/// A lane with a disk, a client and one path, played by a string of bytes: an honest target until the disk is
/// ready, and after that whatever the bytes say. At the end the disk is detached by force, and nothing may be
/// left.
///
/// Safe because the vectors live as long as the player and only hold what the lane has just described.
@safe
final class LaneFuzz {
    private var lane: Lane
    private var disk = DiskID(rawValue: -1)
    private var target: StreamID?
    private var client: StreamID?
    private var isReady = false
    private var isDetached = false
    private var now: UInt64 = 1_000_000_000
    private var logins = 0
    private var loginStep = 0
    private var fromLane: [UInt8] = []
    private var outstanding: [(tag: UInt32, cdb: UInt32, length: Int)] = []
    private var statSN: UInt32 = 1
    private var expCmdSN: UInt32 = 1
    private var cookie: UInt64 = 0
    private let vectors = UnsafeMutablePointer<IOVector>.allocate(capacity: 64)

    static func run(_ bytes: UnsafeRawBufferPointer) {
        guard let player = LaneFuzz() else { preconditionFailure("the disk does not come up") }
        unsafe player.play(bytes)
        player.finish()
    }

    private init?() {
        var settings = LaneSettings()
        settings.taskCapacity = 32
        settings.reservedTasks = 8
        settings.requestCapacity = 16
        settings.streamCapacity = 8
        settings.pathCapacity = 2
        settings.diskCapacity = 1
        settings.targetCapacity = 1
        settings.chunkBytes = 1 << 15
        settings.chunkCount = 12
        settings.reservedChunks = 4
        settings.pieceBytes = 4096
        settings.maxRecvDataSegmentLength = 8192
        settings.sendQueueCapacity = 128
        settings.requestsPerClient = 8
        lane = Lane(settings: settings)
        guard let name = try? ISCSIName("iqn.2026-01.example:t"),
            let initiator = try? ISCSIName("iqn.2026-01.example:i"), let lun = LogicalUnitNumber(1),
            let id = try? lane.attach(
                DiskSpecification(
                    name: "d", target: name, initiatorName: initiator, lun: lun,
                    paths: [
                        PathSpecification(
                            route: RouteID(rawValue: 0), interface: "eth0", sourceAddress: "192.0.2.1",
                            portal: "192.0.2.2:3260", isid: InitiatorSessionID(hash: 7))
                    ]), now: Instant(nanoseconds: now))
        else { return nil }
        disk = id
        for _ in 0..<40 where !isReady {
            lane.tick(now: instant)
            turn()
            answerAll()
        }
        guard isReady else { return nil }
        client = lane.addClient(disk, negotiates: false, now: instant)
    }

    deinit { unsafe vectors.deallocate() }

    private var instant: Instant { Instant(nanoseconds: now) }

    // MARK: The play

    private func play(_ bytes: UnsafeRawBufferPointer) {
        var at = 0
        func next() -> UInt8 {
            guard at < bytes.count else { return 0 }
            defer { at += 1 }
            return unsafe bytes[at]
        }
        func take(_ count: Int) -> [UInt8] {
            let end = min(at + count, bytes.count)
            defer { at = end }
            return unsafe Array(bytes[at..<end])
        }
        var turns = 0
        while at < bytes.count && turns < 200 {
            turns += 1
            let operation = next()
            switch operation & 7 {
            case 0: request(operation & 8 == 0 ? 0 : 1, blocks: Int(operation >> 4) + 1, at: next())
            case 1: request(UInt16(operation >> 3) % 8, blocks: Int(next() & 31) + 1, at: next())
            case 2:
                let count = Int(next())
                give(take(count), to: target)
            case 3:
                let (opcode, flags, which, count) = (next(), next(), next(), Int(next()))
                give(pdu(opcode, flags, which, take(min(count, 12)), length: count), to: target)
            case 4: wait(milliseconds: 1 << UInt64(operation >> 4))
            case 5:
                let count = Int(next())
                give(take(count), to: client)
            case 6: if operation & 0xf0 == 0 { lose() } else { answerAll() }
            default: answerAll()
            }
            turn()
        }
    }

    private func request(_ type: UInt16, blocks: Int, at block: UInt8) {
        cookie += 1
        var bytes: [UInt8] = []
        func append(_ value: UInt64, _ count: Int) {
            for byte in (0..<count).reversed() {
                bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)))
            }
        }
        append(0x2560_9513, 4)
        append(0, 2)
        append(UInt64(type), 2)
        append(cookie, 8)
        append(UInt64(block) * 512, 8)
        append(UInt64(type == 3 ? 0 : blocks * 512), 4)
        if type == 1 { bytes += [UInt8](repeating: 0x5a, count: blocks * 512) }
        give(bytes, to: client)
    }

    /// A PDU that has its tag and numbers right, and the rest as the bytes say.
    private func pdu(_ opcode: UInt8, _ flags: UInt8, _ which: UInt8, _ words: [UInt8], length: Int)
        -> [UInt8]
    {
        var header = BasicHeaderSegment()
        header[byte: 0] = opcode & 0x3f
        header[byte: 1] = flags
        header[4] = outstanding.isEmpty ? reservedTag : outstanding[Int(which) % outstanding.count].tag
        header[5] = 1
        header[6] = statSN
        header[7] = expCmdSN
        header[8] = expCmdSN &+ 15
        if words.count > 0 { header[byte: 2] = words[0] & 0x81 }
        if words.count > 1 { header[byte: 3] = words[1] }
        if words.count > 2 { header[9] = UInt32(words[2]) }
        if words.count > 4 { header[10] = UInt32(words[3]) << 8 | UInt32(words[4]) }
        if words.count > 6 { header[11] = UInt32(words[5]) << 8 | UInt32(words[6]) }
        if words.count > 7 { header[byte: 36] = words[7] }
        if words.count > 8, words[8] & 3 == 3 { header[4] = UInt32(words[8]) << 24 | 0xffff }
        if words.count > 9, words[9] & 7 == 7 { header[6] &+= UInt32(words[9]) }
        if words.count > 10, words[10] & 7 == 7 { header[8] = UInt32(words[10]) << 24 }
        let count = words.count > 11 ? Int(words[11]) << 4 : length
        header.dataSegmentLength = count
        // These count their status on.
        if [0x21, 0x22, 0x26, 0x32, 0x3f].contains(opcode & 0x3f) || opcode & 0x3f == 0x25 && flags & 1 != 0 {
            statSN &+= 1
        }
        return wire(header, [UInt8](repeating: which, count: count))
    }

    private func wait(milliseconds: UInt64) {
        now += milliseconds * 1_000_000
        lane.tick(now: instant)
    }

    private func lose() {
        guard let id = target else { return }
        target = nil
        lane.closed(id, reason: "fuzz", now: instant)
    }

    // MARK: The end

    private func finish() {
        lane.detach(disk, force: true, now: instant)
        for _ in 0..<200 where !isDetached {
            turn()
            wait(milliseconds: 100)
        }
        turn()
        precondition(isDetached, "the disk is not detached")
        let usage = lane.usage
        precondition(usage.isEmpty && usage.streams == 0, "left over: \(usage)")
    }

    // MARK: The shell

    private func turn() {
        for _ in 0..<8 {
            drainEffects()
            lane.settle()
            drainEffects()
            while let id = lane.takeDirty() { send(id) }
        }
    }

    private func drainEffects() {
        while let effect = lane.takeEffect() {
            switch effect {
            case .connect(let id, _, _), .connectElsewhere(let id, _, _, _): connect(id)
            case .inspect, .abort: break
            case .close(let id):
                if id == target { target = nil }
                if id == client { client = nil }
            case .notice(.ready): isReady = true
            case .notice(.detached): isDetached = true
            case .notice: break
            }
        }
    }

    private func connect(_ id: StreamID) {
        logins += 1
        // A few times the target is there again.
        guard logins < 5 else { return lane.connectFailed(id, reason: "enough", now: instant) }
        target = id
        loginStep = 0
        fromLane = []
        outstanding = []
        statSN = 1
        expCmdSN = 1
        lane.connected(id, now: instant)
    }

    private func send(_ id: StreamID) {
        while true {
            let batch = unsafe lane.sendVectors(id, into: vectors, capacity: 64)
            if batch.count == 0 { return }
            if id == target {
                for index in 0..<batch.count {
                    let vector = unsafe vectors[index]
                    unsafe fromLane.append(
                        contentsOf: UnsafeRawBufferPointer(start: vector.base, count: vector.count))
                }
            }
            if !lane.sent(id, count: batch.byteCount) { return }
        }
    }

    private func give(_ bytes: [UInt8], to stream: StreamID?) {
        guard let id = stream else { return }
        var rest = bytes[...]
        while !rest.isEmpty, id == target || id == client, let space = lane.receiveSpace(id) {
            let count = min(space.count, rest.count)
            guard count > 0 else { return }
            unsafe rest.withUnsafeBytes { source in
                if let base = source.baseAddress {
                    unsafe space.base.copyMemory(from: base, byteCount: count)
                }
            }
            rest = rest.dropFirst(count)
            lane.received(id, count: count, now: instant)
            drainEffects()
        }
    }

    // MARK: An honest target

    private func answerAll() {
        while fromLane.count >= 48 {
            var header = BasicHeaderSegment()
            for word in 0..<12 {
                header[word] = (0..<4).reduce(0) { $0 << 8 | UInt32(fromLane[4 * word + $1]) }
            }
            let total = 48 + (header.dataSegmentLength + 3) & ~3
            guard fromLane.count >= total else { return }
            fromLane.removeFirst(total)
            answer(header)
        }
        let tasks = outstanding
        outstanding = []
        for task in tasks { answer(task.tag, task.cdb, task.length) }
    }

    private func answer(_ header: BasicHeaderSegment) {
        switch header.opcode {
        case .loginRequest: answerLogin(header)
        case .scsiCommand:
            expCmdSN &+= 1
            if isReady {
                outstanding.append((header[4], header[8], Int(header[5])))
            } else {
                answer(header[4], header[8], Int(header[5]))
            }
        case .nopOut where header[4] != reservedTag: reply(.nopIn, header[4], [])
        case .logoutRequest: reply(.logoutResponse, header[4], [])
        case .taskManagementRequest: reply(.taskManagementResponse, header[4], [])
        default: break
        }
    }

    /// - Parameter cdb: its first four bytes.
    private func answer(_ tag: UInt32, _ cdb: UInt32, _ length: Int) {
        switch (cdb >> 24, cdb >> 16 & 1, cdb >> 8 & 0xff) {
        case (0x88, _, _) where length <= 8192:
            reply(.scsiDataIn, tag, [UInt8](repeating: 1, count: length), flags: 0x81)
        case (0x12, let isPage, let page): probe(tag, 0x12, isPage != 0, UInt8(page), length)
        case (0x9e, _, _), (0x1a, _, _): probe(tag, UInt8(cdb >> 24), false, 0, length)
        default: reply(.scsiResponse, tag, [])
        }
    }

    private func answerLogin(_ request: BasicHeaderSegment) {
        loginStep += 1
        let isLast = loginStep == 2
        var header = BasicHeaderSegment(opcode: .loginResponse)
        header[byte: 1] = isLast ? 0x87 : 0x81
        header[2] = request[2]
        header[3] = request[3] & 0xffff_0000 | (isLast ? 1 : 0)
        header[4] = request[4]
        header[6] = statSN
        header[7] = expCmdSN
        header[8] = expCmdSN &+ 15
        statSN &+= 1
        let text =
            isLast
            ? "HeaderDigest=None\0DataDigest=None\0InitialR2T=No\0ImmediateData=Yes\0FirstBurstLength=1024\0"
                + "MaxBurstLength=4096\0MaxOutstandingR2T=2\0MaxRecvDataSegmentLength=1024\0"
            : "AuthMethod=None\0TargetPortalGroupTag=1\0"
        header.dataSegmentLength = text.utf8.count
        give(wire(header, Array(text.utf8)), to: target)
    }

    private func probe(_ tag: UInt32, _ cdb: UInt8, _ isPage: Bool, _ page: UInt8, _ length: Int) {
        var data = [UInt8](repeating: 0, count: 64)
        switch (cdb, isPage, page) {
        case (0x12, false, _):
            data[2] = 6
            data[4] = 31
        case (0x12, true, 0): data = [0, 0, 0, 2, 0x00, 0x83]
        case (0x12, true, _):
            data = [0, 0x83, 0, 20, 1, 3, 0, 16, 0x60, 1, 4, 5, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        case (0x9e, _, _):
            data = [UInt8](repeating: 0, count: 32)
            data[6] = 1
            data[10] = 2
        case (0x1a, _, _): data = [3, 0, 0x10, 0]
        default: return reply(.scsiResponse, tag, [])
        }
        reply(.scsiDataIn, tag, Array(data.prefix(length)), flags: 0x81)
    }

    private func reply(_ opcode: Opcode, _ tag: UInt32, _ data: [UInt8], flags: UInt8 = 0x80) {
        var header = BasicHeaderSegment(opcode: opcode)
        header[byte: 1] = flags
        header[4] = tag
        if opcode == .nopIn { header[5] = reservedTag }
        header[6] = statSN
        header[7] = expCmdSN
        header[8] = expCmdSN &+ 15
        header.dataSegmentLength = data.count
        statSN &+= 1
        give(wire(header, data), to: target)
    }

    private func wire(_ header: BasicHeaderSegment, _ data: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        for word in 0..<12 {
            for shift in [24, 16, 8, 0] as [UInt32] {
                bytes.append(UInt8(truncatingIfNeeded: header[word] >> shift))
            }
        }
        bytes += data
        for _ in 0..<(-data.count & 3) { bytes.append(0) }
        return bytes
    }
}
