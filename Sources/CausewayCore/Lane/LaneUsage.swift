/// How much of a lane's tables is in use: at rest nothing but its open streams, or something leaks.
public struct LaneUsage: Equatable, Sendable {
    public var tasks: Int
    public var requests: Int
    public var streams: Int
    /// Of the receive memory; an open stream may keep one.
    public var chunks: Int
    /// For reads that do not fit a chunk.
    public var heapBytes: Int
    /// Buffers of the lane's own commands.
    public var internalBuffers: Int

    /// Streams aside, which may be open at rest.
    public var isEmpty: Bool {
        tasks == 0 && requests == 0 && chunks <= streams && heapBytes == 0 && internalBuffers == 0
    }
}

extension Lane {
    public var usage: LaneUsage {
        LaneUsage(
            tasks: tasks.capacity - freeTasks.count, requests: requests.capacity - freeRequests.count,
            streams: streams.capacity - freeStreams.count, chunks: chunks.capacity - chunks.freeCount,
            heapBytes: chunks.heapBytes, internalBuffers: internalData.count)
    }
}
