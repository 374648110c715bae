import CausewayConfiguration
import CausewayControl
import CausewayCore
import Glibc
import LinuxSystem
import Logging
import NBDDevice
import Synchronization

/// A disk that a predecessor left.
struct Adoption: Sendable {
    var disk: AttachedDisk
    var record: DiskRecord
    /// The daemon's ends of its sockets, queue by queue, if the service manager has kept all of them.
    var sockets: [Int32]
    /// It has kept some.
    var wasStored: Bool
}

/// Disks that were there before this daemon: finding them, proving that they are what they were, fencing the
/// sessions of who served them, and serving them.
extension Supervisor {
    /// A device that is still being made by the helper of a daemon that died shows up within this.
    private static let lateDeviceMilliseconds = 1000
    /// Between two tries to give the kernel a new socket.
    private static let reconnectPauseMilliseconds = 50
    /// An old socket that is still alive after so long is somebody else's.
    private static let reconnectMilliseconds = 30_000
    private static let adoptionPauseSeconds = 10

    /// The name under which the service manager keeps the socket of a disk's queue. No disk's name has a dot.
    static func storedName(_ name: DiskName, queue: Int = 0) -> String {
        queue == 0 ? "disk-\(name)" : "disk-\(name).\(queue)"
    }

    /// Keeps the names of disks on record from everybody else. Nothing is touched yet: another daemon may be
    /// running.
    func reserveForAdoption(_ passed: [(name: String, descriptor: Int32)]) {
        var sockets: [String: Int32] = [:]
        for (name, descriptor) in passed {
            if let twice = sockets.updateValue(descriptor, forKey: name) { discard(twice) }
        }
        let (found, unreadable) = diskRecords.all()
        for file in unreadable {
            logger.error("\(file) cannot be read: a disk that it stands for is not taken back")
        }
        for record in found {
            let name = record.request.name
            let count = record.request.queueCount
            let own = (0..<count).compactMap {
                sockets.removeValue(forKey: Self.storedName(name, queue: $0))
            }
            guard let disk = makeAdopted(record) else {
                for descriptor in own { discard(descriptor) }
                continue
            }
            disk.state.withLock {
                $0.origin = .adopting
                $0.wanted = record.wanted.paths
            }
            // As many as there are queues, or the kernel gets new ones.
            if own.count < count { for descriptor in own { discard(descriptor) } }
            guard (try? reserve(disk)) != nil else { continue }
            let adoption = Adoption(
                disk: disk, record: record, sockets: own.count == count ? own : [], wasStored: !own.isEmpty)
            state.withLock { $0.adoptions.append(adoption) }
        }
        for (name, descriptor) in sockets {
            logger.error("the service manager kept a socket \(name) of which there is no record: closed")
            discard(descriptor)
        }
    }

    private func makeAdopted(_ record: DiskRecord) -> AttachedDisk? {
        let name = record.request.name
        guard let target = try? ISCSIName(record.request.target) else {
            logger.error("\(name): its record names no target")
            return nil
        }
        let living = Set(state.withLock { $0.disks.values.map(\.target) })
        guard
            let lanes = lanes.lanes(
                of: target, queues: record.request.queueCount, living: living, mayExceed: true)
        else {
            logger.error("\(name): there is no lane for each of its queues")
            return nil
        }
        let settings = (try? changed(DiskSettings(), record.request.allSettings)) ?? DiskSettings()
        return AttachedDisk(
            request: record.request, target: target, lanes: lanes,
            kernelTimeoutSeconds: record.kernelTimeoutSeconds ?? QueueRules.kernelTimeoutSeconds(settings))
    }

    /// Takes back every disk on record, each in a thread of its own: one that waits for its target holds up
    /// no other. Called when it is certain that no other daemon runs.
    func adoptAll() {
        let adoptions = state.withLock { state in
            let adoptions = state.adoptions
            state.adoptions = []
            return adoptions
        }
        for adoption in adoptions {
            // Taken back before a byte is read: should this daemon die too, the kernel is to hear of it.
            for queue in 0..<(adoption.wasStored ? adoption.record.request.queueCount : 0) {
                try? manager?.removeStored(name: Self.storedName(adoption.disk.name, queue: queue))
            }
            inBackground("adopt \(adoption.disk.name)") { [self] in takeBack(adoption) }
        }
        if let startText { inForce.keep(startText, logger) }
        if !adoptions.isEmpty { tellManager() }
        let names = Set(adoptions.map { $0.disk.name.text })
        inBackground("strays") { [self] in clearStrays(besides: names) }
    }

    /// Tries for as long as the disk is on the books: what is in the way, say a secret that cannot be read,
    /// may be mended.
    private func takeBack(_ adoption: Adoption) {
        var sockets = adoption.sockets
        while true {
            do throws(ControlError) {
                return try adopt(adoption.disk, adoption.record, sockets)
            } catch {
                let text = "it is not served: \(error.message)"
                if adoption.disk.state.withLock({ $0.complaint }) != text { complain(adoption.disk, text) }
            }
            // What the lane has is served as far as may be.
            guard !adoption.disk.isInLanes else { return }
            // Whoever took them has closed them.
            sockets = []
            for _ in 0..<Self.adoptionPauseSeconds {
                Pause.milliseconds(1000)
                guard state.withLock({ $0.disks[adoption.disk.name.text] === adoption.disk }) else { return }
            }
        }
    }

    /// Runs `work` on a thread of its own.
    func inBackground(_ name: String, _ work: @escaping @Sendable () -> Void) {
        do throws(SystemError) {
            let thread = try startThread(name: name, body: work)
            _ = consume thread
        } catch {
            logger.error("no thread can be started: \(error)")
        }
    }

    /// The end of a stream whose place nobody knows any more.
    private func discard(_ descriptor: Int32) {
        _ = shutdown(descriptor, Int32(SHUT_RDWR))
        Glibc.close(descriptor)
    }

    private func adopt(
        _ disk: AttachedDisk, _ record: DiskRecord, _ sockets: [Int32]
    ) throws(ControlError) {
        var sockets = sockets
        defer { for socket in sockets { discard(socket) } }
        if disk.request.socket == nil {
            guard let device = findDevice(record) else {
                logger.warning("\(disk.name): its device is gone; its record is removed")
                return end(disk)
            }
            disk.state.withLock { $0.device = device }
            if !record.isAttached && DeviceUser.find(of: device).isEmpty {
                return undo(disk, device)
            }
        } else if !record.isAttached {
            logger.notice("\(disk.name): a daemon died while it attached this disk; it is not attached")
            return end(disk)
        }
        let description = try attachAgain(disk, record)
        guard let description else {
            // Detached while its queues came to their lanes one by one: those that came late go, too.
            return leaveLane(disk, force: true, milliseconds: Self.lateDeviceMilliseconds)
        }
        disk.state.withLock { $0.description = description }
        // What was set, reloaded or added while it waited stands there now.
        let wasDrained = diskRecords.read(disk.name)?.isDrained ?? record.isDrained
        // On record before the first byte is read.
        try changeRecord(disk.name) {
            $0.isAttached = true
            $0.isDrained = false
        }
        if let path = disk.request.socket {
            try exportSocket(disk, path)
        } else if let device = disk.state.withLock({ $0.device }) {
            let stored = sockets
            sockets = []
            if !wasDrained { for socket in stored { discard(socket) } }
            guard takeOver(disk, device, record, wasDrained ? stored : []) else { return }
        }
        disk.state.withLock {
            $0.origin = .adopted
            $0.complaint = nil
        }
        if let device = disk.state.withLock({ $0.device }),
            disk.shards.contains(where: { $0.state.withLock { $0.isCutOff } })
        {
            reconnectCutOff(disk, device)
        }
        disk.remember("taken over from the daemon before")
        logger.info("\(disk.name): adopted as \(disk.place)")
        // One that appeared while there was no daemon will not do so again.
        for interface in disk.state.withLock({ $0.wanted.waiting }) { interfaceAppeared(interface) }
        tellManager()
    }

    /// The kernel's device of a record. A helper process may have outlived its daemon and be about to make
    /// it.
    private func findDevice(_ record: DiskRecord) -> KernelDevice? {
        var waited = 0
        while true {
            let device = KernelDevice.all().first {
                $0.backendIdentifier == record.backendIdentifier && $0.isConfigured
            }
            if device != nil || record.isAttached || waited >= Self.lateDeviceMilliseconds { return device }
            Pause.milliseconds(50)
            waited += 50
        }
    }

    /// A daemon died between making the device and saying so.
    private func undo(_ disk: AttachedDisk, _ device: KernelDevice) {
        logger.notice("\(disk.name): \(device.node) was only half attached and is not in use: it goes")
        do throws(NBDDeviceError) {
            _ = try call(.disconnect(index: device.index))
            end(disk)
        } catch {
            complain(disk, "\(device.node) was only half attached and cannot be undone: \(error)")
        }
    }

    /// Has the lane make the disk's paths again and waits, for as long as it takes, for one that shows the
    /// very LUN. nil: it was detached meanwhile.
    private func attachAgain(
        _ disk: AttachedDisk, _ record: DiskRecord
    ) throws(ControlError) -> DiskDescription? {
        guard let lun = LogicalUnitNumber(Int(clamping: disk.request.lun)) else {
            throw .internalFailure("its record names LUN \(disk.request.lun)")
        }
        let (login, configuration) = try inherited(record, disk.target)
        disk.state.withLock {
            $0.configuration = configuration
            $0.configured = record.configured
            $0.login = login
        }
        var size: UInt64?
        // A resize may have ended after the record was written: the kernel's word counts.
        if let device = disk.state.withLock({ $0.device }) { size = try? device.sizeBytes }
        let paths = record.paths.compactMap(\.planned)
        for shard in disk.shards where shard.id == nil {
            var specification = try makeSpecification(
                disk, shard, paths, lun, try changed(DiskSettings(), disk.request.allSettings), login)
            specification.expected = ExpectedUnit(
                wwid: record.wwid, sizeBytes: size ?? record.sizeBytes,
                logicalBlockLength: record.blockLength)
            specification.mayHaveUnflushedWrites = !record.isDrained
            specification.hasLostWrites = record.hasLostWrites == true
            specification.registration = record.registration?.registration
            try attachToLane(disk, shard, specification)
        }
        return awaitQueues(disk)
    }

    /// Waits, for as long as it takes, until every queue has a path. nil: it was detached meanwhile.
    private func awaitQueues(_ disk: AttachedDisk) -> DiskDescription? {
        var descriptions: [DiskDescription] = []
        // A detach that is refused leaves it to be served; one that is done takes it off the books.
        while state.withLock({ $0.disks[disk.name.text] === disk }) {
            switch disk.shards[descriptions.count].outcome.wait(milliseconds: 1000) {
            case .success(let description):
                descriptions.append(description)
                guard descriptions.count == disk.shards.count else { continue }
                // Each lane has compared what its paths show with the record.
                return (try? DiskDescription(agreeing: descriptions)) ?? description
            case .failure: return nil
            case nil: continue
            }
        }
        return nil
    }

    /// No path has shown the LUN of a disk that is to be adopted. The lane goes on trying.
    func notYet(_ disk: AttachedDisk, _ problems: [PathProblem]) {
        let isGone = problems.allSatisfy { [.noSuchLUN, .lunGone, .otherLUN].contains($0.kind) }
        let reasons = Set(problems.map(\.text)).sorted().joined(separator: "; ")
        let text =
            isGone
            ? "the LUN that it was is not there (\(reasons)). It is left alone, and I/O to it waits. "
                + "It is served as soon as a path shows that LUN; to give it up: "
                + "causeway detach --force \(disk.name)"
            : "no path has come up yet (\(reasons)). I/O to it waits"
        // Each queue has it to tell.
        if disk.state.withLock({ $0.complaint }) != text { complain(disk, text) }
    }

    /// Loudly, and in the disk's status.
    func complain(_ disk: AttachedDisk, _ text: String) {
        disk.state.withLock { $0.complaint = text }
        disk.remember(text)
        logger.error("\(disk.name) (\(disk.place)): \(text.escapedForTerminal)")
    }

    // MARK: Sockets

    /// Hands the daemon's end of a socket to the lane of a queue, or closes it.
    private func serve(_ shard: DiskShard, _ descriptor: Int32) -> Bool {
        // Before the lane has it, and may say that it is gone again.
        shard.state.withLock { $0.isCutOff = false }
        let answer = shard.ask { $0.addClient($1, descriptor, negotiates: false) }
        if answer == true { return true }
        // A lane that does not take it closes it. One that has not been asked has not.
        if answer == nil { discard(descriptor) }
        shard.state.withLock { $0.isCutOff = true }
        return false
    }

    /// Serves what the kernel has its sockets for: those that were kept, and a new one for every other queue.
    private func takeOver(
        _ disk: AttachedDisk, _ device: KernelDevice, _ record: DiskRecord, _ stored: [Int32]
    ) -> Bool {
        var others: [DiskShard] = []
        for shard in disk.shards {
            if shard.index < stored.count, serve(shard, stored[shard.index]) { continue }
            others.append(shard)
        }
        guard others.isEmpty else { return reconnectWithPatience(disk, device, record, others) }
        logger.info("\(disk.name): took over \(device.node), which noticed nothing")
        return true
    }

    /// Gives the kernel new sockets in place of dead ones, and makes sure that it took them: those for which
    /// it finds no dead slot are silently dropped.
    /// - Parameter queues: that have none; the slots are filled in their order.
    private func reconnect(
        _ disk: AttachedDisk, _ device: KernelDevice, _ record: DiskRecord, _ queues: inout [DiskShard]
    ) throws(ControlError) {
        var waited = 0
        while !queues.isEmpty, state.withLock({ $0.disks[disk.name.text] === disk }) {
            guard disk.state.withLock({ !$0.isDetaching || $0.isSynchronizing }) else {
                Pause.milliseconds(Self.reconnectPauseMilliseconds)
                continue
            }
            do throws(NBDDeviceError) {
                var pairs = try KernelSocketPairs(count: queues.count, bufferBytes: 1 << 20)
                _ = try call(
                    .reconnect(
                        ReconnectRequest(
                            index: device.index, backendIdentifier: record.backendIdentifier,
                            sockets: pairs.kernelEnds)))
                pairs.closeKernelEnds()
                var left: [DiskShard] = []
                var isRefused = false
                for (place, shard) in queues.enumerated() {
                    if KernelSocketPair.verifyAdopted(daemonEnd: pairs.daemonEnds[place]) == .dropped {
                        left.append(shard)
                    } else if !serve(shard, pairs.takeDaemonEnd(place)) {
                        left.append(shard)
                        isRefused = true
                    }
                }
                queues = left
                // The others keep what they have.
                if isRefused { throw .helperFailed(.unintelligible) }
            } catch {
                throw ControlError(error)
            }
            guard !queues.isEmpty else { return }
            guard waited < Self.reconnectMilliseconds else {
                throw .busy("\(device.node) is still served by another process")
            }
            Pause.milliseconds(Self.reconnectPauseMilliseconds)
            waited += Self.reconnectPauseMilliseconds
        }
    }

    /// Tries until the kernel has them: another device's call may hold netlink up, say. False once the disk
    /// is off the books, or the device no longer its own.
    private func reconnectWithPatience(
        _ disk: AttachedDisk, _ device: KernelDevice, _ record: DiskRecord, _ queues: [DiskShard]
    ) -> Bool {
        var queues = queues
        while state.withLock({ $0.disks[disk.name.text] === disk }) {
            guard isOurs(device, disk) else {
                // A detach that is under way takes it off the books.
                deviceIsGone(disk)
                Pause.milliseconds(1000)
                continue
            }
            do throws(ControlError) {
                try reconnect(disk, device, record, &queues)
                return state.withLock { $0.disks[disk.name.text] === disk }
            } catch {
                let text = "the kernel does not take another connection: \(error.message)"
                if disk.state.withLock({ $0.complaint }) != text { complain(disk, text) }
            }
            Pause.milliseconds(Self.adoptionPauseSeconds * 1000)
        }
        return false
    }

    /// The kernel gave up on the socket of a queue without being told to: it gets another one.
    func kernelHungUp(_ queue: ServedQueue) {
        let (disk, shard) = (queue.disk, queue.shard)
        guard let device = disk.state.withLock({ $0.device }) else { return }
        let text = disk.text("the kernel closed its connection", of: shard)
        disk.remember(text)
        logger.error("\(disk.name): \(text); it is given another")
        shard.state.withLock { $0.isCutOff = true }
        // Whoever takes it back looks once that is done.
        if disk.state.withLock({ $0.origin }) != .adopting { reconnectCutOff(disk, device) }
    }

    private func reconnectCutOff(_ disk: AttachedDisk, _ device: KernelDevice) {
        // One thread for all queues: the slots of the device are filled in their order.
        let isFirst = disk.state.withLock { state in
            guard !state.isReconnecting else { return false }
            state.isReconnecting = true
            return true
        }
        guard isFirst else { return }
        inBackground("again \(disk.name)") { [self] in
            while true {
                // Never in a hurry: what made it hang up may come again.
                Pause.milliseconds(1000)
                let isDone = disk.state.withLock { state in
                    guard !disk.shards.contains(where: { $0.state.withLock { $0.isCutOff } }) else {
                        return false
                    }
                    state.isReconnecting = false
                    return true
                }
                guard !isDone else { return }
                let queues = disk.shards.filter { $0.state.withLock { $0.isCutOff } }
                guard let record = diskRecords.read(disk.name),
                    reconnectWithPatience(disk, device, record, queues)
                else { return disk.state.withLock { $0.isReconnecting = false } }
                disk.state.withLock { $0.complaint = nil }
                logger.notice("\(disk.name): the kernel is connected again")
            }
        }
    }

    // MARK: What nobody knows

    /// Kernel devices with our identifier and without a record. One that nobody serves and nobody uses is
    /// taken away; any other stays, with a word in the log.
    private func clearStrays(besides names: Set<String>) {
        for device in KernelDevice.all() {
            guard let identifier = device.backendIdentifier, identifier.hasPrefix("causeway:"),
                device.isConfigured
            else { continue }
            let parts = identifier.split(separator: ":", maxSplits: 2)
            let isKnown = parts.count == 3 && names.contains(String(parts[1]))
            let isOurs = state.withLock { state in
                state.disks.values.contains { $0.state.withLock { $0.device?.index } == device.index }
            }
            // An attach that has begun meanwhile has written its record first.
            let isFresh =
                parts.count == 3
                && (try? DiskName(String(parts[1]))).map { diskRecords.read($0) != nil } == true
            if isKnown || isOurs || isFresh { continue }
            clearStray(device, identifier)
        }
    }

    private func clearStray(_ device: KernelDevice, _ identifier: String) {
        let users = DeviceUser.find(of: device).map { "\($0)".escapedForTerminal }
        guard users.isEmpty else {
            return logger.error(
                """
                \(device.node) is a disk of Causeway without a record here, and in use: \
                \(users.joined(separator: ", ")); it is left alone
                """)
        }
        do throws(NBDDeviceError) {
            // Taken only where the socket is dead: another daemon's disk is not ours to clear.
            var pair = try KernelSocketPair()
            _ = try call(
                .reconnect(
                    ReconnectRequest(
                        index: device.index, backendIdentifier: identifier, sockets: [pair.kernelEnd])))
            pair.closeKernelEnd()
            switch KernelSocketPair.verifyAdopted(daemonEnd: pair.daemonEnd, quietMilliseconds: 200) {
            case .quiet: break
            case .dropped:
                return logger.warning(
                    "\(device.node) is a disk of Causeway without a record here, served by another daemon")
            case .inUse:
                return logger.error(
                    "\(device.node) is a disk of Causeway without a record here, and in use: a request waits")
            }
            _ = try call(.disconnect(index: device.index))
            logger.notice("\(device.node) was left behind half attached and is not in use: it is gone")
        } catch {
            logger.error("\(device.node) was left behind and cannot be cleared: \(error)")
        }
    }
}
