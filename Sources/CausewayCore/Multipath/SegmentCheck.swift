/// Whether full-size segments pass along a path: a jumbo MTU that a switch on the way does not share lets
/// logins and small commands through and swallows the rest.
struct SegmentCheck: BitwiseCopyable {
    /// Every so many idle pings one fills a segment.
    static let pingsBetween = 6
    /// A full-size ping is no longer than this, bytes.
    static let longestBytes = 16384
    /// So many failures in a row, each in a session that small PDUs had come through, name the cause.
    static let failuresMax = 2

    /// A full-size ping goes out as soon as TCP has told the size.
    var isDue = false
    private(set) var failures = 0
    /// The target refuses ping data, or ends the connection for it.
    private(set) var isRefused = false
    private var endings = 0
    private var pings = 0

    /// Small pings pass, full-size ones do not.
    var isBroken: Bool { failures >= Self.failuresMax }

    /// An idle path is to be asked; whether the ping is to be a full-size one.
    mutating func isTurn() -> Bool {
        pings += 1
        guard pings >= Self.pingsBetween, !isRefused else { return false }
        pings = 0
        return true
    }

    mutating func passed() {
        failures = 0
        endings = 0
    }

    /// No answer came.
    mutating func failed() { failures = min(failures + 1, Self.failuresMax) }

    /// The target said that it does not take such a PDU.
    mutating func refused() { isRefused = true }

    /// The target closed the connection while one was out: twice is no accident.
    mutating func ended() {
        endings += 1
        if endings >= 2 { isRefused = true }
    }

    /// Bytes of ping data that fill a segment, as far as both ends take them.
    static func byteCount(segmentBytes: Int, limit: Int32) -> Int {
        min(max(segmentBytes, 512), Int(limit), longestBytes) & ~3
    }
}
