import CausewayCore

/// A connection at the target: takes the bytes apart, holds every PDU against RFC 7143, and answers.
final class TargetConnection {
    enum Phase { case login, fullFeature, closed }

    unowned let target: SimulatedTarget
    let connection: Connection
    var session: TargetSession?
    var cid: UInt16 = 0
    var phase = Phase.login
    var login = TargetLogin()
    private var buffer: [UInt8] = []
    private var position = 0
    private var outbox: [UInt8] = []
    /// The next StatSN to be used.
    var statSN: UInt32
    private var acknowledged: UInt32?
    private var isHalfClosed = false
    /// The statuses that told of a restart, and of which LUN.
    var restartNews: [(statSN: UInt32, lun: UInt64)] = []
    /// Unit attentions that were reported and not acknowledged yet, on a connection of several.
    var untold: [(statSN: UInt32, lun: UInt64, sense: Sense)] = []
    /// Tasks answered before all of their Data-Out had come.
    var endedEarly: Set<UInt32> = []
    /// Data-In that is to be acknowledged, by target transfer tag.
    var milestones: [UInt32: (task: TargetTask, dataSN: UInt32)] = [:]
    /// The status that told of another LUN in place of the one before.
    var replacementStatSN: UInt32?
    /// Tasks that a LOGICAL UNIT RESET ended: their data may still come.
    var abortedTags: Set<UInt32> = []
    private var pingTag: UInt32 = 0
    private var nextTransferTag: UInt32 = 0x1000
    /// A bit of the next PDU that changes on its way.
    var flip: Int?
    /// A script has changed what it says.
    private var hasLied = false
    /// PDUs that came damaged.
    private(set) var damagedCount = 0
    /// A command was refused before it counted: no later one is taken (RFC 7143 §7.3).
    var hasGap = false
    var nextRejection: UInt8?

    init(_ target: SimulatedTarget, _ connection: Connection) {
        self.target = target
        self.connection = connection
        statSN = UInt32(truncatingIfNeeded: target.random.next())
        connection.toTarget.onArrival = { [weak self] in self?.receive() }
        connection.toInitiator.onRoom = { [weak self] in self?.flush() }
        connection.onResetAtTarget = { [weak self] in self?.lost() }
    }

    var isClosed: Bool { phase == .closed }
    /// In full-feature phase, with digests over every bit.
    var isSealed: Bool { phase == .fullFeature && StreamDigestCounts(login.parameters).isComplete }
    var chronicle: Chronicle { target.chronicle }

    func fail(_ text: String) {
        // Whom the target has lied to cannot be blamed.
        if hasLied { return lostByTarget() }
        chronicle.fail("initiator, connection \(connection.number): \(text)")
    }

    // MARK: Bytes in

    func receive() {
        guard !isClosed, !target.isPaused, !target.isStalled(connection.portal) else { return }
        let bytes = connection.toTarget.take(.max)
        if position > 0 {
            buffer.removeFirst(position)
            position = 0
        }
        buffer += bytes
        while !isClosed, let (header, data) = nextPDU() {
            chronicle.mix(UInt64(header[0]) << 32 | UInt64(header[4]))
            chronicle.trace("c\(connection.number) >", "\(describe(header))")
            switch phase {
            case .login: login.received(header, data, self)
            case .fullFeature: received(header, data)
            case .closed: break
            }
        }
        if connection.toTarget.end != nil { lost() }
    }

    private func nextPDU() -> (BasicHeaderSegment, [UInt8])? {
        guard buffer.count - position >= BasicHeaderSegment.byteCount else { return nil }
        var header = BasicHeaderSegment()
        for word in 0..<12 {
            header[word] = UInt32(truncatingIfNeeded: buffer.field(position + 4 * word, bytes: 4))
        }
        let digests = phase == .login ? StreamDigestCounts() : StreamDigestCounts(login.parameters)
        let end = position + BasicHeaderSegment.byteCount + digests.header
        guard buffer.count >= end else { return nil }
        if digests.header > 0, !isIntact(position, end - digests.header) {
            chronicle.trace("c\(connection.number) >", "damaged header")
            damagedCount += 1
            close()
            return nil
        }
        let count = header.dataSegmentLength
        let limit = phase == .login ? 8192 : target.options.maxRecvDataSegmentLength
        guard header.totalAHSLength == 0, count <= limit else {
            fail("a PDU of \(count) bytes (opcode \(header.opcode.rawValue)), \(limit) are allowed")
            return nil
        }
        let padded = (count + 3) & ~3
        let start = end
        let digest = count > 0 ? digests.data : 0
        guard buffer.count >= start + padded + digest else { return nil }
        if digest > 0, !isIntact(start, start + padded) {
            chronicle.trace("c\(connection.number) >", "damaged data: \(describe(header))")
            damagedCount += 1
            position = start + padded + digest
            receivedDamaged(header, count)
            return isClosed ? nil : nextPDU()
        }
        if buffer[(start + count)..<(start + padded)].contains(where: { $0 != 0 }) {
            fail("padding that is not zeros")
        }
        position = start + padded + digest
        return (header, Array(buffer[start..<start + count]))
    }

    /// The initiator is gone.
    func lost() {
        guard !isClosed else { return }
        phase = .closed
        milestones = [:]
        connection.isOpenAtTarget = false
        connection.toInitiator.finish(.finished)
        chronicle.trace("c\(connection.number) >", "gone")
        target.connectionLost(self)
    }

    /// The target closes: what is on its way here is not read any more.
    func close() {
        guard !isClosed else { return }
        flush()
        phase = .closed
        milestones = [:]
        connection.isOpenAtTarget = false
        connection.toTarget.breakOff()
        connection.toInitiator.finish(target.random.chance(500) ? .finished : .reset)
    }

    func halfClose() {
        guard !isClosed else { return }
        isHalfClosed = true
        connection.toInitiator.finish(.finished)
    }

    // MARK: Bytes out

    func send(_ header: BasicHeaderSegment, _ data: [UInt8] = []) {
        guard let script = target.script, script.portal == connection.portal else { return put(header, data) }
        var header = header
        header.dataSegmentLength = data.count
        let honest = ScriptedPDU(header: header, data: data)
        let told = script.tell(honest)
        if told != [honest] { hasLied = true }
        for pdu in told { put(pdu.header, pdu.data, declared: pdu.header.dataSegmentLength) }
    }

    private func put(_ header: BasicHeaderSegment, _ data: [UInt8], declared: Int? = nil) {
        guard !isClosed, !isHalfClosed else { return }
        var header = header
        header.dataSegmentLength = declared ?? data.count
        var bytes: [UInt8] = []
        bytes.reserveCapacity(52 + data.count)
        for word in 0..<12 { bytes.append(UInt64(header[word]), bytes: 4) }
        // Only a script sends one. The digest is over it, too.
        bytes += [UInt8](repeating: 0, count: 4 * header.totalAHSLength)
        let digests = phase == .login ? StreamDigestCounts() : StreamDigestCounts(login.parameters)
        if digests.header > 0 { appendDigest(&bytes, from: 0) }
        let start = bytes.count
        bytes += data
        for _ in 0..<(-data.count & 3) { bytes.append(0) }
        if digests.data > 0 && !data.isEmpty { appendDigest(&bytes, from: start) }
        if let flip, digests.isComplete {
            self.flip = nil
            bytes[flip % bytes.count] ^= 1 << UInt8(flip % 7)
            chronicle.trace("c\(connection.number) <", "damaged")
        }
        chronicle.trace("c\(connection.number) <", "\(describe(header))")
        outbox += bytes
        flush()
    }

    func goOnAfterStall() {
        flush()
        receive()
    }

    private func flush() {
        if target.isStalled(connection.portal) { return }
        let count = min(outbox.count, connection.toInitiator.room)
        if count > 0 {
            connection.toInitiator.send(Array(outbox.prefix(count)))
            outbox.removeFirst(count)
        }
        if !outbox.isEmpty { connection.toInitiator.wantRoom() }
    }

    /// A header of the target with the window; StatSN is used up if `countsStatus`.
    func header(_ opcode: Opcode, countsStatus: Bool) -> BasicHeaderSegment {
        var header = BasicHeaderSegment(opcode: opcode)
        header[byte: 1] = 0x80
        header[6] = statSN
        if countsStatus { statSN &+= 1 }
        if let session {
            header[7] = session.expCmdSN
            header[8] = window(session)
        }
        return header
    }

    private func window(_ session: TargetSession) -> UInt32 {
        let free = target.isWindowShut ? 0 : max(0, target.options.window - session.tasks.count)
        let candidate = session.expCmdSN &+ UInt32(free) &- 1
        if Int32(bitPattern: candidate &- session.maxCmdSN) > 0 { session.maxCmdSN = candidate }
        return session.maxCmdSN
    }

    /// A NOP-In that asks for nothing.
    func announceWindow() {
        guard phase == .fullFeature else { return }
        var ping = header(.nopIn, countsStatus: false)
        ping[4] = reservedTag
        ping[5] = reservedTag
        send(ping)
    }

    func beginPings() {
        guard target.options.pingInterval > 0 else { return }
        target.timeline.after(target.options.pingInterval) { [weak self] in
            guard let self, phase == .fullFeature else { return }
            if !target.isPaused {
                pingTag = pingTag == reservedTag - 1 ? 0 : pingTag + 1
                var ping = header(.nopIn, countsStatus: false)
                ping[4] = reservedTag
                ping[5] = pingTag
                send(ping)
            }
            beginPings()
        }
    }

    // MARK: Login

    func goOn() {
        guard !isClosed else { return }
        login.finish(self)
    }

    /// The final Login Response is out.
    func beginFullFeature() {
        guard phase == .login else { return }
        phase = .fullFeature
        beginPings()
    }

    // MARK: Full-feature phase

    private func received(_ header: BasicHeaderSegment, _ data: [UInt8]) {
        guard let session else { return }
        // A logout for another connection bears that one's (RFC 7143 §11.14.4).
        let isOther =
            header.opcode == .logoutRequest && header[byte: 1] & 0x7f != 0
            && header[5] >> 16 != UInt32(cid)
        let expStatSN = isOther ? acknowledged ?? statSN : header[7]
        let isBehind = acknowledged.map { Int32(bitPattern: expStatSN &- $0) < 0 } ?? false
        guard !isBehind, Int32(bitPattern: expStatSN &- statSN) <= 0 else {
            return fail("ExpStatSN \(expStatSN), last \(acknowledged ?? 0), next StatSN \(statSN)")
        }
        acknowledged = expStatSN
        if session.recovers { session.acknowledge(self, upTo: expStatSN) }
        while let news = restartNews.first, Int32(bitPattern: expStatSN &- news.statSN) > 0 {
            target.told.insert(SimulatedTarget.Listener(isid: session.isid, lun: news.lun))
            restartNews.removeFirst()
        }
        if hasGap && !header.isImmediate && header.opcode != .scsiDataOut { return }
        if hasGap && header.opcode == .scsiDataOut && session.tasks[header[4]] == nil { return }
        if header.opcode == .snackRequest { return receivedSNACK(header) }
        if session.isShared {
            while let news = untold.first, Int32(bitPattern: expStatSN &- news.statSN) > 0 {
                if news.sense.tellsOfAnother { session.heardAt[news.lun] = header[6] }
                untold.removeFirst()
            }
            return takeTurn(header, data, session)
        }
        if header.opcode != .scsiDataOut {
            guard hasGap || header[6] == session.expCmdSN else {
                return fail(
                    "CmdSN \(header[6]) of opcode \(header.opcode.rawValue), expected \(session.expCmdSN)")
            }
            if let reason = nextRejection, header.opcode == .scsiCommand {
                nextRejection = nil
                hasGap = true
                return reject(header, reason)
            }
            if !header.isImmediate {
                guard Int32(bitPattern: header[6] &- session.maxCmdSN) <= 0 else {
                    return fail("CmdSN \(header[6]) is beyond MaxCmdSN \(session.maxCmdSN)")
                }
                session.expCmdSN &+= 1
            }
        }
        deliver(header, data, session)
    }

    /// A request whose turn it is.
    func deliver(_ header: BasicHeaderSegment, _ data: [UInt8], _ session: TargetSession) {
        switch header.opcode {
        case .scsiCommand: receivedCommand(header, data, session)
        case .scsiDataOut: receivedData(header, data, session)
        case .nopOut: receivedNOP(header, data)
        case .logoutRequest: receivedLogout(header, session)
        case .taskManagementRequest: receivedTaskManagement(header, session)
        default: fail("opcode \(header.opcode.rawValue) in full-feature phase")
        }
    }

    /// Header intact, data not: rejected, and what it belonged to does not end well (RFC 7143 §7.8).
    private func receivedDamaged(_ header: BasicHeaderSegment, _ count: Int) {
        if target.options.closesOnDamage { return close() }
        reject(header, Reject.Reason.dataDigestError.rawValue)
        switch header.opcode {
        case .scsiCommand: hasGap = true
        case .scsiDataOut:
            session?.tasks[header[4]]?.forced = .check(.protocolServiceCRCError)
            received(header, Array(repeating: 0, count: count))
        default: break
        }
    }

    func reject(_ header: BasicHeaderSegment, _ reason: UInt8) {
        var reject = self.header(.reject, countsStatus: true)
        reject[byte: 2] = reason
        reject[4] = reservedTag
        var bytes: [UInt8] = []
        for word in 0..<12 { bytes.append(UInt64(header[word]), bytes: 4) }
        send(reject, bytes)
    }

    private func isIntact(_ start: Int, _ end: Int) -> Bool {
        var digest: UInt32 = 0
        for byte in 0..<4 { digest |= UInt32(buffer[end + byte]) << UInt32(8 * byte) }
        return Self.checksum(buffer[start..<end]) == digest
    }

    private func appendDigest(_ bytes: inout [UInt8], from start: Int) {
        let digest = Self.checksum(bytes[start...])
        for byte in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: digest >> UInt32(8 * byte))) }
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        unsafe bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            return unsafe CRC32C.portable(0, base, bytes.count)
        }
    }

    private func receivedNOP(_ header: BasicHeaderSegment, _ data: [UInt8]) {
        if header[4] == reservedTag {
            guard header.isImmediate else { return fail("a NOP-Out without tag that is not immediate") }
            return
        }
        guard header[5] == reservedTag else { return fail("a NOP-Out with both tags") }
        target.pingCount += 1
        if !data.isEmpty { target.fullPingCount += 1 }
        if target.options.rejectsPingData && !data.isEmpty {
            var reject = self.header(.reject, countsStatus: true)
            reject[byte: 2] = Reject.Reason.invalidPDUField.rawValue
            reject[4] = reservedTag
            var bytes: [UInt8] = []
            for word in 0..<12 { bytes.append(UInt64(header[word]), bytes: 4) }
            return send(reject, bytes)
        }
        var echo = self.header(.nopIn, countsStatus: true)
        echo[4] = header[4]
        echo[5] = reservedTag
        if target.takesConfusion() { echo[6] &+= 3 }
        send(echo, target.options.echoesPings ? data : [])
    }

    /// What a target says of its own accord (RFC 7143 §11.9).
    ///
    /// - Parameter other: the connection that it is about.
    func tell(
        _ event: AsynchronousMessage.Event, lun: UInt64 = 0, seconds: (wait: Int, time: Int) = (0, 0),
        about other: TargetConnection? = nil
    ) {
        let isFitting = other?.phase == .fullFeature && other?.session === session
        let about = isFitting ? other ?? self : self
        guard phase == .fullFeature else { return }
        var message = header(.asynchronousMessage, countsStatus: true)
        message[4] = reservedTag
        message[9] = UInt32(event.rawValue) << 24 | (event == .connectionDrop ? UInt32(about.cid) : 0)
        message[10] = UInt32(seconds.wait) << 16 | UInt32(seconds.time)
        var data: [UInt8] = []
        if event == .scsiEvent {
            message.lun = lun
            let sense = Sense.modeParametersChanged.bytes
            data = [0, UInt8(sense.count)] + sense
        }
        send(message, data)
        switch event {
        case .connectionDrop: target.timeline.after(1_000_000) { [weak about] in about?.lostByTarget() }
        case .sessionDrop:
            if let session { target.end(session, "dropped") }
        case .logoutRequest, .negotiationRequest:
            target.timeline.after(UInt64(seconds.time) * 1_000_000_000) { [weak self] in
                guard let self, phase == .fullFeature else { return }
                lostByTarget()
            }
        default: break
        }
    }

    private func lostByTarget() {
        guard !isClosed else { return }
        close()
        target.connectionLost(self)
    }

    /// The next command is refused before it begins (RFC 7143 §7.3).
    func rejectNext(_ reason: UInt8) { nextRejection = reason }

    func takeTransferTag() -> UInt32 {
        nextTransferTag &+= 1
        return nextTransferTag
    }
}
