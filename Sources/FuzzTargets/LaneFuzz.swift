import CausewayCore

/// A lane with a disk, a client and one path or two, played by a string of bytes: an honest target until the
/// disk is ready, and after that whatever the bytes say. At the end the disk is detached by force, and
/// nothing may be left.
///
/// Safe because the vectors live as long as the player and only hold what the lane has just described.
@safe
final class LaneFuzz {
    private var lane: Lane
    private var disk = DiskID(rawValue: -1)
    /// One a path, by its route.
    private var targets: [Peer]
    private let hasDigests: Bool
    private var client: StreamID?
    private var isReady = false
    private var isDetached = false
    private var now: UInt64 = 1_000_000_000
    private var cookie: UInt64 = 0
    private let vectors = UnsafeMutablePointer<IOVector>.allocate(capacity: 64)

    /// The target's end of a path.
    private struct Peer {
        var id: StreamID?
        var logins = 0
        var loginStep = 0
        /// Digests follow headers and data.
        var isSealed = false
        var fromLane: [UInt8] = []
        var outstanding: [(tag: UInt32, cdb: UInt32, length: Int)] = []
        var statSN: UInt32 = 1
        var expCmdSN: UInt32 = 1
    }

    static func run(_ bytes: UnsafeRawBufferPointer, pathCount: Int = 1, hasDigests: Bool = false) {
        guard let player = LaneFuzz(pathCount, hasDigests) else {
            preconditionFailure("the disk does not come up")
        }
        unsafe player.play(bytes)
        player.finish()
    }

    private init?(_ pathCount: Int, _ hasDigests: Bool) {
        targets = Array(repeating: Peer(), count: pathCount)
        self.hasDigests = hasDigests
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
        var wishes = DiskSettings()
        if hasDigests {
            wishes.headerDigest = .required
            wishes.dataDigest = .required
        }
        let paths = (0..<pathCount).map { index in
            PathSpecification(
                route: RouteID(rawValue: Int32(index)), interface: "eth\(index)",
                sourceAddress: "192.0.2.1", portal: "192.0.2.\(2 + index):3260",
                isid: InitiatorSessionID(hash: 7 + UInt64(index)))
        }
        guard let name = try? ISCSIName("iqn.2026-01.example:t"),
            let initiator = try? ISCSIName("iqn.2026-01.example:i"), let lun = LogicalUnitNumber(1),
            let id = try? lane.attach(
                DiskSpecification(
                    name: "d", target: name, initiatorName: initiator, lun: lun, paths: paths,
                    settings: wishes),
                now: Instant(nanoseconds: now))
        else { return nil }
        disk = id
        for _ in 0..<40 where !isReady || targets.contains(where: { !$0.outstanding.isEmpty }) {
            lane.tick(now: instant)
            turn()
            for index in targets.indices { answerAll(index) }
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
            let path = Int(operation >> 3 & 1) % targets.count
            switch operation & 7 {
            case 0: request(operation & 8 == 0 ? 0 : 1, blocks: Int(operation >> 4) + 1, at: next())
            case 1: request(UInt16(operation >> 3) % 8, blocks: Int(next() & 31) + 1, at: next())
            case 2:
                let count = Int(next())
                give(take(count), to: targets[path].id)
            case 3:
                let (opcode, flags, which, count) = (next(), next(), next(), Int(next()))
                var pdu = pdu(path, opcode, flags, which, take(min(count, 12)), length: count)
                if targets[path].isSealed, operation & 0x10 != 0 { pdu[Int(which) % pdu.count] ^= 1 }
                give(pdu, to: targets[path].id)
            case 4: wait(milliseconds: 1 << UInt64(operation >> 4))
            case 5:
                let count = Int(next())
                give(take(count), to: client)
            case 6: if operation & 0xf0 == 0 { lose(path) } else { answerAll(path) }
            default: answerAll(path)
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
    private func pdu(
        _ path: Int, _ opcode: UInt8, _ flags: UInt8, _ which: UInt8, _ words: [UInt8], length: Int
    ) -> [UInt8] {
        let outstanding = targets[path].outstanding
        var header = BasicHeaderSegment()
        header[byte: 0] = opcode & 0x3f
        header[byte: 1] = flags
        header[4] = outstanding.isEmpty ? reservedTag : outstanding[Int(which) % outstanding.count].tag
        header[5] = 1
        number(&header, path)
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
            targets[path].statSN &+= 1
        }
        return wire(header, [UInt8](repeating: which, count: count), isSealed: targets[path].isSealed)
    }

    private func wait(milliseconds: UInt64) {
        now += milliseconds * 1_000_000
        lane.tick(now: instant)
    }

    private func lose(_ path: Int) {
        guard let id = targets[path].id else { return }
        targets[path].id = nil
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
            case .connect(let id, let route, _), .connectElsewhere(let id, let route, _, _):
                connect(id, Int(route.rawValue))
            case .inspect, .abort: break
            case .close(let id):
                for index in targets.indices where targets[index].id == id { targets[index].id = nil }
                if id == client { client = nil }
            case .notice(.ready): isReady = true
            case .notice(.detached): isDetached = true
            case .notice: break
            }
        }
    }

    private func connect(_ id: StreamID, _ path: Int) {
        let logins = targets[path].logins + 1
        // A few times the target is there again.
        guard logins < 5, targets[path].id == nil else {
            return lane.connectFailed(id, reason: "enough", now: instant)
        }
        targets[path] = Peer(id: id, logins: logins)
        lane.connected(id, now: instant)
    }

    private func send(_ id: StreamID) {
        while true {
            let batch = unsafe lane.sendVectors(id, into: vectors, capacity: 64)
            if batch.count == 0 { return }
            if let path = targets.firstIndex(where: { $0.id == id }) {
                for index in 0..<batch.count {
                    let vector = unsafe vectors[index]
                    unsafe targets[path].fromLane.append(
                        contentsOf: UnsafeRawBufferPointer(start: vector.base, count: vector.count))
                }
            }
            if !lane.sent(id, count: batch.byteCount) { return }
        }
    }

    private func give(_ bytes: [UInt8], to stream: StreamID?) {
        guard let id = stream else { return }
        var rest = bytes[...]
        while !rest.isEmpty, id == client || targets.contains(where: { $0.id == id }),
            let space = lane.receiveSpace(id)
        {
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

    private func answerAll(_ path: Int) {
        while let header = nextHeader(path) { answer(header, path) }
        let tasks = targets[path].outstanding
        targets[path].outstanding = []
        for task in tasks { answer(path, task.tag, task.cdb, task.length) }
    }

    /// The next PDU of the lane; its data is passed over.
    private func nextHeader(_ path: Int) -> BasicHeaderSegment? {
        let bytes = targets[path].fromLane
        guard bytes.count >= 48 else { return nil }
        var header = BasicHeaderSegment()
        for word in 0..<12 {
            header[word] = (0..<4).reduce(0) { $0 << 8 | UInt32(bytes[4 * word + $1]) }
        }
        let dataCount = (header.dataSegmentLength + 3) & ~3
        var total = 48 + dataCount
        if targets[path].isSealed { total += dataCount == 0 ? 4 : 8 }
        guard bytes.count >= total else { return nil }
        targets[path].fromLane.removeFirst(total)
        return header
    }

    private func answer(_ header: BasicHeaderSegment, _ path: Int) {
        switch header.opcode {
        case .loginRequest: answerLogin(header, path)
        case .scsiCommand:
            targets[path].expCmdSN &+= 1
            if isReady {
                targets[path].outstanding.append((header[4], header[8], Int(header[5])))
            } else {
                answer(path, header[4], header[8], Int(header[5]))
            }
        case .nopOut where header[4] != reservedTag: reply(path, .nopIn, header[4], [])
        case .logoutRequest: reply(path, .logoutResponse, header[4], [])
        case .taskManagementRequest: reply(path, .taskManagementResponse, header[4], [])
        default: break
        }
    }

    /// - Parameter cdb: its first four bytes.
    private func answer(_ path: Int, _ tag: UInt32, _ cdb: UInt32, _ length: Int) {
        switch (cdb >> 24, cdb >> 16 & 1, cdb >> 8 & 0xff) {
        case (0x88, _, _) where length <= 8192:
            reply(path, .scsiDataIn, tag, [UInt8](repeating: 1, count: length), flags: 0x81)
        case (0x12, let isPage, let page): probe(path, tag, 0x12, isPage != 0, UInt8(page), length)
        case (0x9e, _, _), (0x1a, _, _): probe(path, tag, UInt8(cdb >> 24), false, 0, length)
        default: reply(path, .scsiResponse, tag, [])
        }
    }

    private func answerLogin(_ request: BasicHeaderSegment, _ path: Int) {
        targets[path].loginStep += 1
        let isLast = targets[path].loginStep == 2
        var header = BasicHeaderSegment(opcode: .loginResponse)
        header[byte: 1] = isLast ? 0x87 : 0x81
        header[2] = request[2]
        header[3] = request[3] & 0xffff_0000 | (isLast ? 1 : 0)
        header[4] = request[4]
        number(&header, path)
        targets[path].statSN &+= 1
        let digest = hasDigests ? "CRC32C" : "None"
        let text =
            isLast
            ? "HeaderDigest=\(digest)\0DataDigest=\(digest)\0InitialR2T=No\0ImmediateData=Yes\0"
                + "FirstBurstLength=1024\0MaxBurstLength=4096\0MaxOutstandingR2T=2\0"
                + "MaxRecvDataSegmentLength=1024\0"
            : "AuthMethod=None\0TargetPortalGroupTag=1\0"
        header.dataSegmentLength = text.utf8.count
        let bytes = wire(header, Array(text.utf8), isSealed: false)
        targets[path].isSealed = hasDigests && isLast
        give(bytes, to: targets[path].id)
    }

    private func probe(
        _ path: Int, _ tag: UInt32, _ cdb: UInt8, _ isPage: Bool, _ page: UInt8, _ length: Int
    ) {
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
        default: return reply(path, .scsiResponse, tag, [])
        }
        reply(path, .scsiDataIn, tag, Array(data.prefix(length)), flags: 0x81)
    }

    private func reply(
        _ path: Int, _ opcode: Opcode, _ tag: UInt32, _ data: [UInt8], flags: UInt8 = 0x80
    ) {
        var header = BasicHeaderSegment(opcode: opcode)
        header[byte: 1] = flags
        header[4] = tag
        if opcode == .nopIn { header[5] = reservedTag }
        number(&header, path)
        header.dataSegmentLength = data.count
        targets[path].statSN &+= 1
        give(wire(header, data, isSealed: targets[path].isSealed), to: targets[path].id)
    }

    private func number(_ header: inout BasicHeaderSegment, _ path: Int) {
        header[6] = targets[path].statSN
        header[7] = targets[path].expCmdSN
        header[8] = targets[path].expCmdSN &+ 15
    }

    private func wire(_ header: BasicHeaderSegment, _ data: [UInt8], isSealed: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        for word in 0..<12 {
            for shift in [24, 16, 8, 0] as [UInt32] {
                bytes.append(UInt8(truncatingIfNeeded: header[word] >> shift))
            }
        }
        if isSealed { seal(&bytes, from: 0) }
        let start = bytes.count
        bytes += data
        for _ in 0..<(-data.count & 3) { bytes.append(0) }
        if isSealed, !data.isEmpty { seal(&bytes, from: start) }
        return bytes
    }

    private func seal(_ bytes: inout [UInt8], from start: Int) {
        let digest = unsafe bytes.withUnsafeBytes { buffer -> UInt32 in
            guard let base = buffer.baseAddress else { return 0 }
            return unsafe CRC32C.portable(0, base + start, buffer.count - start)
        }
        for byte in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: digest >> UInt32(8 * byte))) }
    }
}
