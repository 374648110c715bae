/// A NOP-Out that is out, and what has been heard since.
struct PingState: BitwiseCopyable {
    /// Initiator Task Tags of pings lie above all task slots.
    static let tagBase: UInt32 = 0xfffe_8000

    private(set) var sentAt: Instant?
    private(set) var number: UInt32 = 0
    /// Data that the ping carries, so that it fills a segment; 0 for a small one.
    private(set) var byteCount = 0
    /// Of the newest ping that was answered, nanoseconds.
    private(set) var roundTrip: UInt64?

    var tag: UInt32 { Self.tagBase | (number & 0x7fff) }

    /// A full-size ping is out.
    var isFullSize: Bool { sentAt != nil && byteCount > 0 }

    mutating func send(now: Instant, byteCount: Int) -> UInt32 {
        number &+= 1
        sentAt = now
        self.byteCount = byteCount
        return tag
    }

    mutating func answered(tag: UInt32, now: Instant) {
        guard let sentAt, tag == self.tag else { return }
        roundTrip = now.nanoseconds(since: sentAt)
        self.sentAt = nil
    }

    /// It will not be answered, and that says nothing.
    mutating func forget() { sentAt = nil }
}
