import CausewayCore

/// What the kernel asks of a disk.
public enum ClientOperation: Sendable, Equatable {
    case read, write, writeAndForce, flush, trim, writeZeroes, writeZeroesAndForce, blockStatus
    /// Only if it is faster than to write zeros.
    case fastZero

    var changesBlocks: Bool { self != .read && self != .flush && self != .blockStatus }
}

/// How a client loads the disk. Lengths in blocks.
public struct Load: Sendable {
    public var depth = 8
    public var maxBlocks = 16
    /// Blocks that requests fall on: few make for many meetings of old and new.
    public var span = 256
    /// Now and then a request is this long instead.
    public var longBlocks = 0
    public var longPermille = 0
    /// Weights: read, write, FUA, flush, trim, zeroes.
    public var weights = [40, 40, 5, 5, 5, 5]
    /// A block may be read while it is written, as programs do that open a device twice.
    public var overlaps = false
    /// Nanoseconds between an answer and the next request.
    public var pause: ClosedRange<UInt64> = 0...200_000

    public init() {}
}

/// Blocks that requests of a disk's clients lie on, and the numbers of its writes.
final class BlocksInUse {
    struct Use {
        var readers = 0
        var isWritten = false
    }

    var users: [Int: Use] = [:]
    private var nextWrite: UInt64

    init(firstWrite: UInt64) { nextWrite = firstWrite }

    func takeWrite() -> UInt64 {
        nextWrite += 1
        return nextWrite - 1
    }
}

/// An NBD client as the kernel's driver is one: simple replies, many requests at once, and never two writes
/// of one block.
public final class NBDClient {
    struct Pending {
        var operation: ClientOperation
        var lba: Int
        var blocks: Int
        var write: UInt64
        var begun: UInt64
        var mark: UInt64
        var crossedLoss = false
        /// It was given to a daemon, which may have carried it out.
        var wasSent = false
        var onAnswer: ((UInt32) -> Void)?
    }

    private(set) var toLane: Pipe
    private var hasGivenUp = false
    private(set) var fromLane: Pipe
    private let timeline: Timeline
    let chronicle: Chronicle
    let oracle: Oracle
    /// In a trace.
    private let name: String
    private let random: RandomStream
    let blockLength: Int
    private(set) var pending: [UInt64: Pending] = [:]
    private let shared: BlocksInUse
    private var nextCookie: UInt64 = 1
    private var outbox: [UInt8] = []
    var inbox: [UInt8] = []
    /// Kept when it is over; nil for a client that has none, as the kernel.
    var handshake: NBDHandshake?
    /// What it has to say, before any request.
    private var handshakeOutbox: [UInt8] = []
    /// Structured replies of which some chunks have come, by cookie.
    var replies: [UInt64: Reply] = [:]
    private var isLeaving = false
    public private(set) var isClosed = false
    /// A daemon serves; without one requests wait.
    private var isServed = true
    /// Numbers the daemons.
    private var server = 0
    private let weather: Weather

    private var load = Load()
    /// Requests still to be made by the load.
    private(set) var remaining = 0
    private var planned = 0

    /// So many requests were answered, and so many of them with an error.
    public private(set) var answered = 0
    public private(set) var errors = 0
    public private(set) var longestWait: UInt64 = 0
    /// An answer must come within this, nanoseconds.
    public var bound: UInt64 = .max
    /// A request may end with an error; otherwise it is a violation.
    public var mayFail = false

    init(
        timeline: Timeline, chronicle: Chronicle, random: RandomStream, oracle: Oracle, blocks: BlocksInUse,
        name: String, blockLength: Int, weather: Weather, handshake: NBDHandshake?
    ) {
        self.timeline = timeline
        self.chronicle = chronicle
        self.random = random
        self.oracle = oracle
        shared = blocks
        self.name = name
        self.blockLength = blockLength
        self.weather = weather
        self.handshake = handshake
        toLane = Pipe(timeline, random, gates: [], weather: weather)
        fromLane = Pipe(timeline, random, gates: [], weather: weather)
        listen()
    }

    private func listen() {
        fromLane.onArrival = { [weak self] in self?.receive() }
        toLane.onRoom = { [weak self] in self?.flushOutbox() }
    }

    private var canAskForStatus: Bool { handshake?.isOver == true && handshake?.allocationContext != nil }

    public var isIdle: Bool { pending.isEmpty && remaining == 0 }
    public var inFlight: Int { pending.count }

    // MARK: Load

    /// Makes so many requests, as the load says.
    public func load(_ load: Load = Load(), count: Int) {
        self.load = load
        remaining += count
        for _ in 0..<load.depth { planNext() }
    }

    public func stopLoad() { remaining = 0 }

    private func planNext(after delay: UInt64 = 0) {
        planned += 1
        timeline.after(delay + random.nanoseconds(load.pause)) { [weak self] in
            guard let self else { return }
            planned -= 1
            makeOne()
        }
    }

    private func makeOne() {
        guard remaining > 0, pending.count < load.depth, !isClosed, !isLeaving else { return }
        for _ in 0..<16 {
            let operation = choose()
            let isLong = random.chance(load.longPermille)
            let blocks = isLong ? load.longBlocks : random.number(1...load.maxBlocks)
            let lba = operation == .flush ? 0 : random.below(max(1, load.span - blocks + 1))
            guard isFree(operation, lba, blocks) else { continue }
            remaining -= 1
            submit(operation, lba: lba, blocks: blocks) { [weak self] _ in self?.planNext() }
            return
        }
        // Every block is in use: later.
        planNext(after: 5_000_000)
    }

    private func choose() -> ClientOperation {
        var at = random.below(load.weights.reduce(0, +))
        for (index, weight) in load.weights.enumerated() {
            if at < weight {
                if index == 0, canAskForStatus, random.chance(200) { return .blockStatus }
                let isForced = random.chance(200)
                return [
                    .read, .write, .writeAndForce, .flush, .trim,
                    isForced ? .writeZeroesAndForce : .writeZeroes,
                ][index]
            }
            at -= weight
        }
        return .read
    }

    private func isFree(_ operation: ClientOperation, _ lba: Int, _ blocks: Int) -> Bool {
        if operation == .flush { return true }
        for block in lba..<lba + blocks {
            guard let use = shared.users[block] else { continue }
            if operation.changesBlocks
                ? use.isWritten || use.readers > 0 && !load.overlaps : use.isWritten && !load.overlaps
            {
                return false
            }
        }
        return true
    }

    // MARK: Requests

    /// Sends a request; `onAnswer` is given the NBD errno.
    public func submit(
        _ operation: ClientOperation, lba: Int, blocks: Int, _ onAnswer: ((UInt32) -> Void)? = nil
    ) {
        let cookie = nextCookie
        nextCookie += 1
        var request = Pending(
            operation: operation, lba: lba, blocks: blocks, write: 0, begun: timeline.now,
            mark: oracle.sequence,
            onAnswer: onAnswer)
        if operation == .write || operation == .writeAndForce {
            request.write = shared.takeWrite()
        }
        let isRead = !operation.changesBlocks
        if operation != .flush {
            for block in lba..<lba + blocks {
                if isRead {
                    shared.users[block, default: .init()].readers += 1
                    oracle.readBegins(block)
                } else {
                    shared.users[block, default: .init()].isWritten = true
                    oracle.writeBegins(block, stamp(request, block))
                }
            }
        }
        pending[cookie] = request
        chronicle.trace("\(name) >", "#\(cookie) \(operation) \(lba)+\(blocks) write \(request.write)")
        if isServed { send(cookie) }
    }

    private func send(_ cookie: UInt64) {
        guard let request = pending[cookie] else { return }
        pending[cookie]?.wasSent = true
        let operation = request.operation
        let flags: UInt16 =
            switch operation {
            case .writeAndForce, .writeZeroesAndForce: 1
            case .fastZero: 1 << 4
            default: 0
            }
        let types: [ClientOperation: UInt16] = [
            .read: 0, .write: 1, .writeAndForce: 1, .flush: 3, .trim: 4, .writeZeroes: 6,
            .writeZeroesAndForce: 6, .blockStatus: 7, .fastZero: 6,
        ]
        var bytes: [UInt8] = []
        bytes.append(UInt64(NBDRequest.magic), bytes: 4)
        bytes.append(UInt64(flags), bytes: 2)
        bytes.append(UInt64(types[operation] ?? 0), bytes: 2)
        bytes.append(cookie, bytes: 8)
        bytes.append(UInt64(operation == .flush ? 0 : request.lba * blockLength), bytes: 8)
        bytes.append(UInt64(operation == .flush ? 0 : request.blocks * blockLength), bytes: 4)
        chronicle.mix(cookie << 8 | UInt64(types[operation] ?? 0))
        outbox += bytes
        if operation == .write || operation == .writeAndForce {
            var data: [UInt8] = []
            data.reserveCapacity(request.blocks * blockLength)
            for block in request.lba..<request.lba + request.blocks {
                let stamp = BlockPattern.stamp(write: request.write, lba: block)
                BlockPattern.append(stamp, blockLength: blockLength, to: &data)
            }
            outbox += data
        }
        flushOutbox()
    }

    // MARK: The daemon dies

    /// The daemon's end of the connection is gone. What is out stays out: the kernel waits for another.
    func sever() {
        hasGivenUp = false
        toLane.breakOff()
        fromLane.breakOff()
        toLane = Pipe(timeline, random, gates: [], weather: weather)
        fromLane = Pipe(timeline, random, gates: [], weather: weather)
        listen()
        outbox = []
        inbox = []
        isServed = false
        server += 1
    }

    /// Another daemon serves. New requests go out at once; those that the first one had follow when the
    /// kernel's timer has run, under new cookies.
    func isServedAgain() {
        guard !isServed else { return }
        isServed = true
        let server = server
        for cookie in pending.keys.sorted() {
            guard pending[cookie]?.wasSent == true else {
                send(cookie)
                continue
            }
            let delay: ClosedRange<UInt64> =
                random.chance(500) ? 1_000_000...20_000_000 : 100_000_000...5_000_000_000
            timeline.after(random.nanoseconds(delay)) { [weak self] in
                self?.replay(cookie, to: server)
            }
        }
    }

    private func replay(_ cookie: UInt64, to server: Int) {
        guard server == self.server, let request = pending.removeValue(forKey: cookie) else { return }
        let fresh = nextCookie
        nextCookie += 1
        pending[fresh] = request
        chronicle.trace("\(name) >", "#\(fresh) is #\(cookie) again")
        send(fresh)
    }

    private func stamp(_ request: Pending, _ block: Int) -> UInt64 {
        switch request.operation {
        case .write, .writeAndForce: BlockPattern.stamp(write: request.write, lba: block)
        default: 0
        }
    }

    func send(handshake bytes: [UInt8]) {
        handshakeOutbox += bytes
        flushOutbox()
    }

    /// Requests wait for the end of the handshake.
    private func flushOutbox() {
        flush(&handshakeOutbox)
        if handshake?.isOver != false && handshakeOutbox.isEmpty { flush(&outbox) }
    }

    private func flush(_ bytes: inout [UInt8]) {
        let count = min(bytes.count, toLane.room)
        if count > 0 {
            toLane.send(Array(bytes.prefix(count)))
            bytes.removeFirst(count)
        }
        if !bytes.isEmpty { toLane.wantRoom() }
    }

    /// Says DISC, with what is under way unanswered. Nothing is asked any more.
    public func disconnect() {
        remaining = 0
        isLeaving = true
        var bytes: [UInt8] = []
        bytes.append(UInt64(NBDRequest.magic), bytes: 4)
        bytes.append(2, bytes: 4)
        bytes += Array(repeating: 0, count: 20)
        outbox += bytes
        flushOutbox()
    }

    /// It closes its end and expects no answer; what it has sent is there still to be read.
    func giveUp() {
        hasGivenUp = true
        toLane.finish(.finished)
    }

    /// The lane closed the connection.
    func closed() {
        guard !isClosed, !hasGivenUp else { return }
        isClosed = true
        if !pending.isEmpty { chronicle.fail("\(pending.count) requests lost with their connection") }
    }

    func cacheLost() {
        for cookie in pending.keys { pending[cookie]?.crossedLoss = true }
    }

    // MARK: Answers

    func answer(_ cookie: UInt64, _ request: Pending, _ error: UInt32, _ data: [UInt8]) {
        pending[cookie] = nil
        answered += 1
        let wait = timeline.now - request.begun
        longestWait = max(longestWait, wait)
        chronicle.mix(cookie << 32 | UInt64(error))
        chronicle.trace("\(name) <", "#\(cookie) error \(error) after \(wait / 1000) us")
        if wait > bound { chronicle.fail("request #\(cookie) was answered after \(wait / 1_000_000) ms") }
        if error != 0 {
            errors += 1
            if !mayFail {
                chronicle.fail("request #\(cookie), \(request.operation), ends with error \(error)")
            }
        }
        let range = request.lba..<request.lba + request.blocks
        if error == 0 { succeeded(request, range, data) }
        if request.operation != .flush { release(range, request.operation) }
        if error != 0 && request.operation == .flush { oracle.flushFailed() }
        request.onAnswer?(error)
    }

    private func release(_ range: Range<Int>, _ operation: ClientOperation) {
        for block in range {
            guard var use = shared.users[block] else { continue }
            if operation.changesBlocks {
                use.isWritten = false
            } else {
                use.readers -= 1
                oracle.readEnds(block)
            }
            shared.users[block] = use.readers > 0 || use.isWritten ? use : nil
        }
    }

    private func succeeded(_ request: Pending, _ range: Range<Int>, _ data: [UInt8]) {
        switch request.operation {
        case .read:
            for block in range {
                let at = (block - request.lba) * blockLength
                guard let stamp = BlockPattern.read(data, at: at, blockLength: blockLength) else {
                    return chronicle.fail("a read of LBA \(block) returned a torn block")
                }
                chronicle.mix(stamp)
                oracle.check(block, stamp, "a read")
            }
        case .write, .writeAndForce, .writeZeroes, .writeZeroesAndForce, .fastZero:
            let isForced = request.operation == .writeAndForce || request.operation == .writeZeroesAndForce
            for block in range {
                oracle.writeAcknowledged(
                    block, stamp(request, block), isForced: isForced, crossedLoss: request.crossedLoss)
            }
        case .flush: oracle.flushed(request.mark)
        case .trim, .blockStatus: break
        }
    }

    /// The oldest request that is out, for the bound.
    var oldest: (cookie: UInt64, begun: UInt64)? {
        pending.min { $0.value.begun < $1.value.begun }.map { ($0.key, $0.value.begun) }
    }
}
