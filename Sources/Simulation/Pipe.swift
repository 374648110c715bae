/// Something that can stop bytes: an interface or a portal, in one direction.
final class Gate {
    private(set) var isShut = false
    /// Segments with more bytes than this vanish: a switch with a smaller MTU.
    private(set) var largestSegment = Int.max
    /// Every segment takes so much longer, nanoseconds.
    var delay: UInt64 = 0
    private var waiting: [Pipe] = []

    func wait(_ pipe: Pipe) { waiting.append(pipe) }

    func forget() { waiting = [] }

    func shut() { isShut = true }

    func limit(_ bytes: Int) { largestSegment = bytes }

    func stops(_ bytes: Int) -> Bool { isShut || bytes > largestSegment }

    func open() {
        isShut = false
        largestSegment = .max
        delay = 0
        let pipes = waiting
        waiting = []
        for pipe in pipes { pipe.gateOpened() }
    }
}

/// How bytes of one direction travel.
public struct Weather: Sendable {
    /// Nanoseconds.
    public var latency: ClosedRange<UInt64> = 20_000...60_000
    /// Bytes are cut into segments of at most this.
    public var segmentBytes = 65536
    /// Bytes that the two sockets and the wire hold.
    public var capacity = 1 << 20

    public init() {}
}

/// One direction of a TCP connection: in order, without loss, in pieces, late, or stopped by a gate. What was
/// accepted is delivered even if the sender is gone meanwhile, unless the pipe is broken.
final class Pipe {
    enum End { case finished, reset }

    private struct Segment {
        var time: UInt64
        var bytes: [UInt8]
        var end: End?
    }

    private let timeline: Timeline
    private let random: RandomStream
    private let gates: [Gate]
    let weather: Weather
    private var segments: [Segment] = []
    private var firstSegment = 0
    private var lastArrival: UInt64 = 0
    private var buffered = 0
    private var isWaiting = false
    /// Since when a gate has stopped what is under way.
    private(set) var stuckSince: UInt64?
    /// When bytes were last sent.
    private(set) var lastSent: UInt64 = 0
    private(set) var isBroken = false
    private(set) var isFinished = false
    private var isAborted = false

    /// Bytes that arrived and were not taken.
    private(set) var arrived: [UInt8] = []
    private var taken = 0
    /// How the stream ended for the receiver, once all of `arrived` is taken.
    private(set) var end: End?
    /// All bytes that ever arrived.
    private(set) var passed = 0

    /// Something arrived.
    var onArrival: () -> Void = {}
    /// There is room again.
    var onRoom: () -> Void = {}
    private var wantsRoom = false
    /// All bytes that were ever accepted.
    private(set) var accepted = 0
    /// A bit of the byte with this number changes on its way, and TCP's checksum does not notice.
    var damagedByte: Int?
    /// After so many bytes have passed, the wire breaks.
    var cutAfter: Int?
    var onCut: () -> Void = {}

    init(_ timeline: Timeline, _ random: RandomStream, gates: [Gate], weather: Weather) {
        self.timeline = timeline
        self.random = random
        self.gates = gates
        self.weather = weather
    }

    var room: Int { isBroken || isFinished ? 0 : max(0, weather.capacity - buffered) }
    var arrivedCount: Int { arrived.count - taken }
    var isIdle: Bool { segments.count == firstSegment && arrivedCount == 0 }

    /// Takes all of it; the caller has looked at `room`.
    func send(_ bytes: [UInt8]) {
        guard !isBroken, !isFinished, !bytes.isEmpty else { return }
        buffered += bytes.count
        lastSent = timeline.now
        accepted += bytes.count
        var at = 0
        while at < bytes.count {
            let most = min(bytes.count - at, weather.segmentBytes)
            let count =
                most == bytes.count && most < 4096 || random.chance(500) ? most : random.number(1...most)
            plan(Segment(time: 0, bytes: Array(bytes[at..<at + count]), end: nil))
            at += count
        }
    }

    func wantRoom() { wantsRoom = true }

    /// The sender has no more to say.
    func finish(_ end: End) {
        guard !isBroken, !isFinished else { return }
        isFinished = true
        plan(Segment(time: 0, bytes: [], end: end))
    }

    /// The sender's TCP forgets what it has not got through: what is stopped by a gate, now or before it
    /// arrives, never comes.
    func abort() {
        isAborted = true
        if gates.contains(where: \.isShut) { breakOff() }
    }

    /// What is under way is lost, and nothing more arrives.
    func breakOff() {
        isBroken = true
        segments = []
        firstSegment = 0
    }

    private func plan(_ segment: Segment) {
        var segment = segment
        let delay = gates.reduce(0) { $0 + $1.delay }
        segment.time = max(lastArrival, timeline.now + random.nanoseconds(weather.latency) + delay)
        lastArrival = segment.time
        segments.append(segment)
        timeline.at(segment.time) { [weak self] in self?.deliver() }
    }

    func gateOpened() {
        isWaiting = false
        // The other end's TCP sends again after a back-off that grows with the time it was in vain.
        let vain = timeline.now - (stuckSince ?? timeline.now)
        let time = timeline.now + random.nanoseconds(1_000_000...max(400_000_000, min(vain, 60_000_000_000)))
        timeline.at(time) { [weak self] in self?.deliver() }
    }

    private func deliver() {
        guard !isBroken, firstSegment < segments.count else { return }
        var isNews = false
        while firstSegment < segments.count, segments[firstSegment].time <= timeline.now {
            if isStopped(segments[firstSegment].bytes.count) { break }
            let segment = segments[firstSegment]
            segments[firstSegment].bytes = []
            firstSegment += 1
            isNews = true
            if let cutAfter, passed + segment.bytes.count >= cutAfter {
                arrive(Array(segment.bytes.prefix(cutAfter - passed)))
                self.cutAfter = nil
                breakOff()
                onArrival()
                onCut()
                return
            }
            arrive(segment.bytes)
            if let end = segment.end { self.end = end }
        }
        if firstSegment == segments.count {
            segments.removeAll(keepingCapacity: true)
            firstSegment = 0
        }
        if isNews { onArrival() }
    }

    /// What a gate has stopped waits there, as TCP sends it again and again.
    private func isStopped(_ bytes: Int) -> Bool {
        guard let gate = gates.first(where: { $0.stops(bytes) }) else {
            stuckSince = nil
            return false
        }
        if isAborted {
            breakOff()
            return true
        }
        if !isWaiting { gate.wait(self) }
        isWaiting = true
        stuckSince = stuckSince ?? timeline.now
        return true
    }

    var isUnderWay: Bool { firstSegment < segments.count && !isBroken }
    /// Acknowledgements, which are small, come back through here.
    var isShut: Bool { gates.contains { $0.isShut } }

    private func arrive(_ bytes: [UInt8]) {
        var bytes = bytes
        if let damagedByte, damagedByte >= passed, damagedByte < passed + bytes.count {
            bytes[damagedByte - passed] ^= 1 << UInt8(damagedByte & 7)
            self.damagedByte = nil
        }
        passed += bytes.count
        if taken == arrived.count {
            arrived = bytes
            taken = 0
        } else {
            arrived.append(contentsOf: bytes)
        }
    }

    /// Up to `limit` bytes of what arrived.
    func take(_ limit: Int) -> ArraySlice<UInt8> {
        let count = min(limit, arrivedCount)
        let slice = arrived[taken..<taken + count]
        taken += count
        buffered -= count
        if count > 0 && wantsRoom {
            wantsRoom = false
            timeline.after(1000) { [weak self] in self?.onRoom() }
        }
        return slice
    }
}
