/// A NOP-Out that is out, and what has been heard since.
struct PingState: BitwiseCopyable {
    /// Initiator Task Tags of pings lie above all task slots.
    static let tagBase: UInt32 = 0xfffe_8000

    private(set) var sentAt: Instant?
    private(set) var number: UInt32 = 0
    /// A full-size ping is out: nothing sent since was answered, small pings behind it included.
    private(set) var isFullSize = false
    /// Of the newest ping that was answered, nanoseconds.
    private(set) var roundTrip: UInt64?

    /// Whether a ping of this session bore the tag, lately.
    func wasSent(_ tag: UInt32) -> Bool {
        tag & 0xffff_8000 == Self.tagBase && (number &- tag) & 0x7fff < min(number, 1024)
    }

    var tag: UInt32 { Self.tagBase | (number & 0x7fff) }

    mutating func send(now: Instant, byteCount: Int) -> UInt32 {
        number &+= 1
        sentAt = now
        if byteCount > 0 { isFullSize = true }
        return tag
    }

    mutating func answered(tag: UInt32, now: Instant) {
        guard let sentAt, tag == self.tag else { return }
        roundTrip = now.nanoseconds(since: sentAt)
        forget()
    }

    /// It will not be answered, and that says nothing.
    mutating func forget() {
        sentAt = nil
        isFullSize = false
    }
}
