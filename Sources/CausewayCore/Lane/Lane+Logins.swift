/// What logins are made with, changed while the disk lives.
extension Lane {
    /// Holds for every login of the disk's target from now on; a session that stands keeps what it has.
    ///
    /// - Parameter depth: commands under way on a path at most; 0: as the lane has it.
    public mutating func change(
        _ id: DiskID, authentication: Authentication, parameters: WantedParameters, depth: Int32, now: Instant
    ) {
        self.now = now
        let index = id.rawValue
        guard index >= 0, Int(index) < disks.count, diskQueues[index].isInUse else { return }
        let target = targets[Int(disks[Int(index)].target)]
        target.authentication = authentication
        // It was found out with other algorithms, of which MD5 may be none any more.
        target.offersMD5Alone = false
        target.wanted = parameters
        target.session?.recoveryIsRefused = false
        for path in target.paths where !paths[Int(path)].isFenceOnly {
            paths[Int(path)].specification.depth = depth
        }
        log(.information, "\(target.name): other login settings, from each path's next login on")
    }
}
