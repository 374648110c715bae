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
    /// What paths count as under way for the policy service-time and is not, units.
    public var miscountedLoad: Int

    /// Streams aside, which may be open at rest.
    public var isEmpty: Bool {
        tasks == 0 && requests == 0 && chunks <= streams && heapBytes == 0 && internalBuffers == 0
            && miscountedLoad == 0
    }
}

extension Lane {
    public var usage: LaneUsage {
        LaneUsage(
            tasks: tasks.capacity - freeTasks.count, requests: requests.capacity - freeRequests.count,
            streams: streams.capacity - freeStreams.count, chunks: chunks.capacity - chunks.freeCount,
            heapBytes: chunks.heapBytes, internalBuffers: internalData.count + twins.count,
            miscountedLoad: paths.reduce(0) { $0 + miscountedLoad($1.index) })
    }

    private func miscountedLoad(_ path: Int32) -> Int {
        guard pathQueues[path].load.isMeasured else { return 0 }
        return abs(Int(pathQueues[path].load.underWay - unitsUnderWay(path)))
    }

    /// What the commands on a path weigh, for `PathLoad`.
    func unitsUnderWay(_ path: Int32) -> Int64 {
        var units: Int64 = 0
        var task = pathQueues[path].inFlight.first
        while task >= 0 {
            units += PathLoad.units(bytes: tasks[task].byteCount)
            task = tasks[task].next
        }
        return units
    }
}
