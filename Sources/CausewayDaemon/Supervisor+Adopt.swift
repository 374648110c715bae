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
    /// The daemon's end of its socket, if the service manager has kept it.
    var socket: Int32?
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

    /// The name under which the service manager keeps a disk's socket.
    static func storedName(_ name: DiskName) -> String { "disk-\(name)" }

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
            let socket = sockets.removeValue(forKey: Self.storedName(name))
            guard let target = try? ISCSIName(record.request.target) else {
                logger.error("\(name): its record names no target")
                continue
            }
            let disk = AttachedDisk(request: record.request, target: target, lane: lane(of: target))
            disk.state.withLock {
                $0.origin = .adopting
                $0.wanted = record.wanted.paths
            }
            guard (try? reserve(disk)) != nil else { continue }
            state.withLock { $0.adoptions.append(Adoption(disk: disk, record: record, socket: socket)) }
        }
        for (name, descriptor) in sockets {
            logger.error("the service manager kept a socket \(name) of which there is no record: closed")
            discard(descriptor)
        }
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
            if adoption.socket != nil {
                try? manager?.removeStored(name: Self.storedName(adoption.disk.name))
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
        var socket = adoption.socket
        while true {
            do throws(ControlError) {
                return try adopt(adoption.disk, adoption.record, socket: socket)
            } catch {
                let text = "it is not served: \(error.message)"
                if adoption.disk.state.withLock({ $0.complaint }) != text { complain(adoption.disk, text) }
            }
            // What the lane has is served as far as may be.
            guard adoption.disk.state.withLock({ $0.id == nil }) else { return }
            // Whoever took it has closed it.
            socket = nil
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

    private func adopt(_ disk: AttachedDisk, _ record: DiskRecord, socket: Int32?) throws(ControlError) {
        var socket = socket
        defer { if let socket { discard(socket) } }
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
        guard let description else { return }
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
            if let stored = socket, wasDrained, serve(disk, stored) {
                socket = nil
                logger.info("\(disk.name): took over \(device.node), which noticed nothing")
            } else {
                if let stored = socket { discard(stored) }
                socket = nil
                guard reconnectWithPatience(disk, device, record) else { return }
            }
        }
        disk.state.withLock {
            $0.origin = .adopted
            $0.complaint = nil
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
        var specification = try makeSpecification(
            disk, record.paths.compactMap(\.planned), lun,
            try changed(DiskSettings(), disk.request.allSettings), login)
        specification.expected = ExpectedUnit(
            wwid: record.wwid, sizeBytes: record.sizeBytes, logicalBlockLength: record.blockLength)
        specification.mayHaveUnflushedWrites = !record.isDrained
        specification.hasLostWrites = record.hasLostWrites == true
        specification.registration = record.registration?.registration
        if let device = disk.state.withLock({ $0.device }), let size = try? device.sizeBytes {
            // A resize may have ended after the record was written: the kernel's word counts.
            specification.expected?.sizeBytes = size
        }
        try attachToLane(disk, specification)
        // A detach that is refused leaves it to be served; one that is done takes it off the books.
        while state.withLock({ $0.disks[disk.name.text] === disk }) {
            switch disk.outcome.wait(milliseconds: 1000) {
            case .success(let description): return description
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
        complain(
            disk,
            isGone
                ? "the LUN that it was is not there (\(reasons)). It is left alone, and I/O to it waits. "
                    + "It is served as soon as a path shows that LUN; to give it up: "
                    + "causeway detach --force \(disk.name)"
                : "no path has come up yet (\(reasons)). I/O to it waits")
    }

    /// Loudly, and in the disk's status.
    func complain(_ disk: AttachedDisk, _ text: String) {
        disk.state.withLock { $0.complaint = text }
        disk.remember(text)
        logger.error("\(disk.name) (\(disk.place)): \(text.escapedForTerminal)")
    }

    // MARK: Sockets

    /// Hands the daemon's end of a socket to the lane.
    private func serve(_ disk: AttachedDisk, _ descriptor: Int32) -> Bool {
        guard let id = disk.state.withLock({ $0.id }) else { return false }
        return disk.lane.ask { $0.addClient(id, descriptor, negotiates: false) } == true
    }

    /// Gives the kernel a new socket in place of the dead one, and makes sure that it took it: one for which
    /// it finds no dead slot is silently dropped.
    func reconnect(
        _ disk: AttachedDisk, _ device: KernelDevice, _ record: DiskRecord
    ) throws(ControlError) {
        var waited = 0
        while state.withLock({ $0.disks[disk.name.text] === disk }) {
            guard disk.state.withLock({ !$0.isDetaching || $0.isSynchronizing }) else {
                Pause.milliseconds(Self.reconnectPauseMilliseconds)
                continue
            }
            do throws(NBDDeviceError) {
                var pair = try KernelSocketPair(bufferBytes: 1 << 20)
                _ = try call(
                    .reconnect(
                        ReconnectRequest(
                            index: device.index, backendIdentifier: record.backendIdentifier,
                            sockets: [pair.kernelEnd])))
                pair.closeKernelEnd()
                if KernelSocketPair.verifyAdopted(daemonEnd: pair.daemonEnd) != .dropped {
                    guard serve(disk, pair.takeDaemonEnd()) else {
                        throw .helperFailed(.unintelligible)
                    }
                    return
                }
            } catch {
                throw ControlError(error)
            }
            guard waited < Self.reconnectMilliseconds else {
                throw .busy("\(device.node) is still served by another process")
            }
            Pause.milliseconds(Self.reconnectPauseMilliseconds)
            waited += Self.reconnectPauseMilliseconds
        }
    }

    /// Tries until the kernel has it: another device's call may hold netlink up, say. False once the disk is
    /// off the books, or the device no longer its own.
    private func reconnectWithPatience(
        _ disk: AttachedDisk, _ device: KernelDevice, _ record: DiskRecord
    ) -> Bool {
        while state.withLock({ $0.disks[disk.name.text] === disk }) {
            guard isOurs(device, disk) else {
                // A detach that is under way takes it off the books.
                deviceIsGone(disk)
                Pause.milliseconds(1000)
                continue
            }
            do throws(ControlError) {
                try reconnect(disk, device, record)
                return state.withLock { $0.disks[disk.name.text] === disk }
            } catch {
                let text = "the kernel does not take another connection: \(error.message)"
                if disk.state.withLock({ $0.complaint }) != text { complain(disk, text) }
            }
            Pause.milliseconds(Self.adoptionPauseSeconds * 1000)
        }
        return false
    }

    /// The kernel gave up on its socket without being told to: it gets another one.
    func kernelHungUp(_ disk: AttachedDisk) {
        let device = disk.state.withLock { state in
            state.origin == .adopting ? nil : state.device
        }
        guard let device else { return }
        disk.remember("the kernel closed its connection")
        logger.error("\(disk.name): the kernel closed its connection; it is given another")
        inBackground("again \(disk.name)") { [self] in
            // Never in a hurry: what made it hang up may come again.
            Pause.milliseconds(1000)
            guard let record = diskRecords.read(disk.name) else { return }
            guard reconnectWithPatience(disk, device, record) else { return }
            disk.state.withLock { $0.complaint = nil }
            logger.notice("\(disk.name): the kernel is connected again")
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
