/// Cuts a stream of bytes into Varlink messages: JSON texts, each ended by one NUL byte.
///
/// A message longer than `limitBytes`, complete or not, is refused: no peer makes it grow.
public struct MessageFramer: Sendable {
    /// What a daemon accepts from a client; the largest call that makes sense is a few kilobytes.
    public static let callLimitBytes = 1 << 20
    /// What a client accepts from the daemon: a discovery of many targets with many LUNs fits well.
    public static let replyLimitBytes = 16 << 20

    public let limitBytes: Int
    private var buffer: [UInt8] = []
    /// Start of the first message that was not handed out yet.
    private var start = 0
    /// Everything before it was searched for a NUL, so that a slow sender costs linear time.
    private var searched = 0

    public init(limitBytes: Int) {
        self.limitBytes = limitBytes
    }

    /// Bytes received that do not make a whole message yet.
    public var pendingByteCount: Int { buffer.count - start }

    public mutating func append(_ bytes: some Sequence<UInt8>) {
        if start == buffer.count {
            buffer.removeAll(keepingCapacity: true)
            start = 0
            searched = 0
        } else if start > limitBytes {
            buffer.removeFirst(start)
            searched -= start
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next message without its NUL, or nil when more bytes are needed.
    public mutating func next() throws(WireError) -> [UInt8]? {
        guard let end = buffer[searched...].firstIndex(of: 0) else {
            searched = buffer.count
            guard pendingByteCount <= limitBytes else { throw .messageTooLong(limitBytes: limitBytes) }
            return nil
        }
        guard end - start <= limitBytes else { throw .messageTooLong(limitBytes: limitBytes) }
        let message = Array(buffer[start..<end])
        start = end + 1
        searched = start
        return message
    }
}
