/// Disks with several queues: what a lane does for the other shards of a disk, and because of them.
extension Lane {
    /// How often a lane looks whether its writes still have to wait for another shard.
    private static var shardPollMilliseconds: UInt64 { 20 }

    /// Whether writes of a disk may have to wait while others of its commands may go.
    @inline(__always)
    func holdsWrites(_ disk: Int32) -> Bool {
        diskQueues[disk].fenceDebts > 0 || diskQueues[disk].share.isSome && othersHold(disk)
    }

    /// Whether writes of a disk wait for a fence, and not merely for an old write of another shard, which has
    /// a time of its own.
    func owesFences(_ disk: Int32) -> Bool {
        diskQueues[disk].fenceDebts > 0 || diskQueues[disk].share.othersOweFences
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
        // What could not be read at once may have come any time since: the kernel has counted from then on.
        let began = min(now, streams[requests[request].stream].unreadSince)
        requests[request].isOpenWrite = true
        requests[request].beganAt = began
        diskQueues[disk].openWrites += 1
        guard diskQueues[disk].openWrites == 1 else {
            if began < now { diskQueues[disk].share.publish(oldestAtMost: began) }
            return
        }
        diskQueues[disk].share.publish(oldest: began)
        wake(at: Instant(nanoseconds: now.nanoseconds &+ diskQueues[disk].share.refreshInterval))
    }

    /// It has ended, answered or not.
    @inline(never)
    mutating func closeShardWrite(_ request: Int32) {
        let disk = requests[request].disk
        requests[request].isOpenWrite = false
        diskQueues[disk].openWrites -= 1
        if diskQueues[disk].openWrites == 0 {
            diskQueues[disk].share.publish(oldest: nil)
        } else if now.nanoseconds(since: requests[request].beganAt) > diskQueues[disk].share.longestAge / 2 {
            // The others may be waiting for this very one.
            disks[Int(disk)].shareRefreshedAt = Instant(nanoseconds: 0)
            wake(at: now)
        }
    }

    /// What comes on a stream is not read for now.
    @inline(never)
    mutating func staysUnread(_ index: Int32) {
        guard streams[index].mayBeGivenUp else { return }
        streams[index].unreadSince = min(streams[index].unreadSince, now)
    }

    /// All that had come meanwhile is read. Where nothing had, it takes the next request to show that, which
    /// then counts as older than it is.
    @inline(never)
    mutating func hasCaughtUp(_ id: StreamID) {
        guard isCurrent(id), !streams[id.index].isBlocked, !streams[id.index].stopsAtBoundary else { return }
        streams[id.index].unreadSince = .never
    }

    /// The other end of a stream is closed. Where the kernel has done that, it sends elsewhere what it has no
    /// answer to, and what of it has not begun must not begin here: it could end after that other copy, and
    /// after what is written next. To be told before anything is read that came with these news.
    public mutating func peerHasClosed(_ id: StreamID, now: Instant) {
        guard isCurrent(id), streams[id.index].mayBeGivenUp, !streams[id.index].isGivenUp else { return }
        self.now = now
        streams[id.index].isGivenUp = true
        // Nor does the rest of one that has begun. What is under way is owed before anything else is done.
        let writing = streams[id.index].writing
        if writing >= 0 {
            streams[id.index].skipping = Int(requests[writing].length &- requests[writing].issued)
            streams[id.index].writing = -1
        }
        orphanRequests(of: id.index, streams[id.index].owner)
        guard isCurrent(id) else { return }
        // None is to be answered here any more.
        streams[id.index].requests = 0
        guard streams[id.index].isBlocked else { return }
        // Or the end would not be read either.
        removeBlocked(id.index)
        parse(id.index)
    }

    /// Does nothing for a request of a socket that the kernel has given up.
    @inline(never)
    mutating func pass(_ header: NBDRequest, stream index: Int32) {
        if header.command == .write { streams[index].skipping = Int(header.length) }
    }

    mutating func tickShard(_ cold: Disk) {
        let disk = cold.index
        guard diskQueues[disk].share.isSome else { return }
        if diskQueues[disk].openWrites > 0 { refreshOldest(cold) }
        guard !diskQueues[disk].pending.isEmpty else { return }
        pumpPending()
        if !diskQueues[disk].pending.isEmpty { awaitShards(disk) }
    }

    /// Another lane does not say when its writes have ended: this one looks, as long as anything waits. Asked
    /// again here, it might say that nothing is in the way any more of what has just been put aside for it.
    mutating func awaitShards(_ disk: Int32) {
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
