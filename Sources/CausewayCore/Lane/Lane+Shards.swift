/// Disks with several queues: what a lane does for the other shards of a disk, and because of them.
extension Lane {
    /// How often a lane looks whether its writes still have to wait for another shard.
    private static var shardPollMilliseconds: UInt64 { 20 }

    /// Whether writes of a disk may have to wait while others of its commands may go.
    @inline(__always)
    func holdsWrites(_ disk: Int32) -> Bool {
        diskQueues[disk].fenceDebts > 0 || diskQueues[disk].share.isSome && othersHold(disk)
    }

    @inline(never)
    private func othersHold(_ disk: Int32) -> Bool {
        diskQueues[disk].share.mustWait(began: now, now: now)
    }

    /// Whether a write has to wait for a fence, its own disk's or another shard's.
    @inline(__always)
    func mustWait(_ task: Int32, _ disk: Int32) -> Bool {
        diskQueues[disk].fenceDebts > 0 || diskQueues[disk].share.isSome && waitsForShard(task, disk)
    }

    @inline(never)
    private func waitsForShard(_ task: Int32, _ disk: Int32) -> Bool {
        let request = tasks[task].request
        let began = request >= 0 ? requests[request].beganAt : now
        return diskQueues[disk].share.mustWait(began: began, now: now)
    }

    /// A request that writes has come.
    @inline(never)
    mutating func openShardWrite(_ request: Int32) {
        let disk = requests[request].disk
        guard diskQueues[disk].share.isSome else { return }
        requests[request].isOpenWrite = true
        requests[request].beganAt = now
        diskQueues[disk].openWrites += 1
        guard diskQueues[disk].openWrites == 1 else { return }
        diskQueues[disk].share.publish(oldest: now)
        wake(at: Instant(nanoseconds: now.nanoseconds &+ diskQueues[disk].share.refreshInterval))
    }

    /// It has ended, answered or not.
    @inline(never)
    mutating func closeShardWrite(_ request: Int32) {
        let disk = requests[request].disk
        requests[request].isOpenWrite = false
        diskQueues[disk].openWrites -= 1
        if diskQueues[disk].openWrites == 0 { diskQueues[disk].share.publish(oldest: nil) }
    }

    mutating func tickShard(_ cold: Disk) {
        let disk = cold.index
        guard diskQueues[disk].share.isSome else { return }
        if diskQueues[disk].openWrites > 0 { refreshOldest(cold) }
        guard !diskQueues[disk].pending.isEmpty else { return }
        pumpPending()
        awaitShards(disk)
    }

    /// Another lane does not say when its debts are paid: this one looks.
    mutating func awaitShards(_ disk: Int32) {
        guard othersHold(disk) else { return }
        wake(at: now.adding(milliseconds: Self.shardPollMilliseconds))
    }

    /// Under load there is always an open write, so what was published grows old although none is.
    private mutating func refreshOldest(_ cold: Disk) {
        let disk = cold.index
        let due = Instant(
            nanoseconds: cold.shareRefreshedAt.nanoseconds &+ diskQueues[disk].share.refreshInterval)
        guard due <= now else { return wake(at: due) }
        cold.shareRefreshedAt = now
        var oldest = now
        for request in 0..<Int32(requests.capacity)
        where requests[request].isOpenWrite && requests[request].disk == disk {
            oldest = min(oldest, requests[request].beganAt)
        }
        diskQueues[disk].share.publish(oldest: oldest)
        wake(at: Instant(nanoseconds: now.nanoseconds &+ diskQueues[disk].share.refreshInterval))
    }
}
