import CausewayCore

/// What comes back: simple replies, and structured ones for a client that asked for them.
extension NBDClient {
    /// The chunks of a structured reply, until its last.
    struct Reply {
        var data: [UInt8] = []
        var error: UInt32 = 0
        var gathered = 0
        var isStatusKnown = false
    }

    private static let chunkMagic: UInt64 = 0x668e_33ef

    func receive() {
        inbox += fromLane.take(.max)
        var position = 0
        if !shakeHands(&position) { return }
        while let size = takeReply(position) { position += size }
        guard position >= 0 else { return }
        inbox.removeFirst(position)
        if fromLane.end != nil { closed() }
    }

    /// Returns whether requests can be made.
    private func shakeHands(_ position: inout Int) -> Bool {
        guard var machine = handshake, !machine.isOver else { return true }
        let step = machine.received(inbox, &position)
        let output = machine.takeOutput()
        handshake = machine
        if case .failed(let why) = step {
            chronicle.fail("the NBD handshake: \(why)")
            return false
        }
        send(handshake: output)
        guard !machine.isOver else { return true }
        inbox.removeFirst(position)
        if fromLane.end != nil { closed() }
        return false
    }

    private var isStructured: Bool { handshake?.isStructured == true }

    private func takeReply(_ position: Int) -> Int? {
        guard isStructured, inbox.count - position >= 4,
            inbox.field(position, bytes: 4) == Self.chunkMagic
        else { return takeSimple(position) }
        return takeChunk(position)
    }

    private func pendingRequest(_ cookie: UInt64) -> Pending? {
        guard let request = pending[cookie] else {
            chronicle.fail("request #\(cookie) is answered twice, or never was made")
            return nil
        }
        return request
    }

    /// The size of the reply at `position` that was taken; nil if there is no whole one.
    private func takeSimple(_ position: Int) -> Int? {
        guard inbox.count - position >= 16 else { return nil }
        guard inbox.field(position, bytes: 4) == UInt64(SimpleReply.magic) else {
            chronicle.fail("an NBD reply with another magic number")
            return nil
        }
        let error = UInt32(inbox.field(position + 4, bytes: 4))
        let cookie = inbox.field(position + 8, bytes: 8)
        guard let request = pendingRequest(cookie) else { return nil }
        // What has no data may be answered simply, also to a client that understands chunks.
        if isStructured && [.read, .blockStatus].contains(request.operation) && error == 0 {
            chronicle.fail("a simple reply to a \(request.operation)")
        }
        var size = 16
        if request.operation == .read && error == 0 { size += request.blocks * blockLength }
        guard inbox.count - position >= size else { return nil }
        answer(cookie, request, error, Array(inbox[position + 16..<position + size]))
        return size
    }

    /// A chunk: magic, flags, type, cookie, length, payload.
    private func takeChunk(_ position: Int) -> Int? {
        guard inbox.count - position >= 20 else { return nil }
        let length = Int(inbox.field(position + 16, bytes: 4))
        guard inbox.count - position >= 20 + length else { return nil }
        let cookie = inbox.field(position + 8, bytes: 8)
        guard let request = pendingRequest(cookie) else { return nil }
        let payload = position + 20
        var reply = replies.removeValue(forKey: cookie) ?? Reply()
        switch inbox.field(position + 6, bytes: 2) {
        case 0: break
        case 1 where request.operation == .read && length > 8: takeData(payload, length, request, &reply)
        case 5 where request.operation == .blockStatus: takeStatus(payload, length, request, &reply)
        case 0x8001, 0x8002: reply.error = UInt32(inbox.field(payload, bytes: 4))
        case let type: chronicle.fail("chunk \(type) of \(length) bytes in answer to a \(request.operation)")
        }
        guard inbox.field(position + 4, bytes: 2) & 1 == 1 else {
            replies[cookie] = reply
            return 20 + length
        }
        if reply.error == 0 && request.operation == .read && reply.gathered != request.blocks * blockLength {
            chronicle.fail("request #\(cookie) is answered with \(reply.gathered) bytes")
        }
        if reply.error == 0 && request.operation == .blockStatus && !reply.isStatusKnown {
            chronicle.fail("request #\(cookie) is answered without a block status")
        }
        answer(cookie, request, reply.error, reply.data)
        return 20 + length
    }

    private func takeData(_ payload: Int, _ length: Int, _ request: Pending, _ reply: inout Reply) {
        let whole = request.blocks * blockLength
        if reply.data.isEmpty { reply.data = Array(repeating: 0, count: whole) }
        let at = Int(inbox.field(payload, bytes: 8)) - request.lba * blockLength
        let count = length - 8
        guard at >= 0, at + count <= whole else { return chronicle.fail("data outside what was read") }
        reply.data.replaceSubrange(at..<at + count, with: inbox[payload + 8..<payload + length])
        reply.gathered += count
    }

    /// What is said to read as zeros must do so.
    private func takeStatus(_ payload: Int, _ length: Int, _ request: Pending, _ reply: inout Reply) {
        guard length >= 12, (length - 4) % 8 == 0,
            inbox.field(payload, bytes: 4) == handshake?.allocationContext
        else {
            return chronicle.fail("a block status of \(length) bytes")
        }
        reply.isStatusKnown = true
        var at = request.lba * blockLength
        let end = (request.lba + request.blocks) * blockLength
        for extent in stride(from: payload + 4, to: payload + length, by: 8) {
            let bytes = Int(inbox.field(extent, bytes: 4))
            guard bytes > 0, at < end, bytes % blockLength == 0 else {
                return chronicle.fail("an extent of \(bytes) bytes at \(at)")
            }
            if inbox.field(extent + 4, bytes: 4) & 2 != 0 {
                for block in at / blockLength..<min(at + bytes, end) / blockLength {
                    oracle.check(block, 0, "a block status")
                }
            }
            at += bytes
        }
    }
}
