import CausewayControl
import CausewayCore
import Glibc
import LinuxSystem
import Synchronization

/// What a disk was attached with, for a daemon that comes after this one. No secret is in it.
struct DiskRecord: Codable, Equatable, Sendable {
    struct Path: Codable, Equatable, Sendable {
        /// nil: unbound.
        var interface: String?
        var source: String?
        var portal: String
        var isid: String
        /// Of a disk with several queues, but for the first.
        var queue: Int?

        init(_ path: PlannedPath) {
            interface = path.interface
            source = path.source.map { "\($0)" }
            portal = "\(path.portal)"
            isid = "\(path.isid)"
            queue = path.queue == 0 ? nil : path.queue
        }

        /// nil if it was not this program that wrote it.
        var planned: PlannedPath? {
            guard let portal = SocketAddress(parsing: portal, defaultPort: 3260),
                let isid = InitiatorSessionID(parsing: isid)
            else { return nil }
            return PlannedPath(
                interface: interface, source: source.flatMap { IPAddress(parsing: $0) }, portal: portal,
                isid: isid, queue: queue ?? 0)
        }
    }

    /// Between what paths are to be made when more becomes possible.
    struct Wanted: Codable, Equatable, Sendable {
        var interfaces: [String]
        var portals: [String]
        var waiting: [String]

        init(_ wanted: WantedPaths) {
            interfaces = wanted.interfaces
            portals = wanted.portals.map { "\($0)" }
            waiting = wanted.waiting
        }

        var paths: WantedPaths {
            WantedPaths(
                interfaces: interfaces,
                portals: portals.compactMap { SocketAddress(parsing: $0, defaultPort: 3260) },
                waiting: waiting)
        }
    }

    var request: AttachRequest
    /// The paths as they were made, host names resolved: a successor takes them as they are.
    var paths: [Path]
    var wanted = Wanted(WantedPaths())
    var wwid: String
    var sizeBytes: UInt64
    /// Bytes of a logical block.
    var blockLength: UInt32
    /// The attach came to its end. Until then nobody was told of a disk.
    var isAttached = false
    /// The last daemon has answered and flushed everything, and logged out.
    var isDrained = false
    /// The target restarted with acknowledged writes in its cache, and no FLUSH of a client has said so.
    var hasLostWrites: Bool?

    /// How long the kernel waits for an answer, of a disk with several queues: fixed as long as the device is
    /// there.
    var kernelTimeoutSeconds: UInt64?

    /// With which key it is registered at its LUN.
    var registration: Registration?

    /// What the disk does not inherit, and all its settings as the configuration had them last: by these a
    /// reload tells what the configuration has changed from what was set by hand. Nil in a record of a
    /// daemon that did not write them.
    var own: OwnSettings?
    var configured: [String: String]?

    struct OwnSettings: Codable, Equatable, Sendable {
        var settings: [String: String]
        var queueDepth: UInt32?
    }

    struct Registration: Codable, Equatable, Sendable {
        var key: String
        var state: String
        var aptpl: Bool
        var pinnedPath: String?
        var unproved: [String]?

        init(_ registration: DiskRegistration) {
            key = "\(registration.key)"
            state = registration.state.rawValue
            aptpl = registration.persists
            pinnedPath = registration.pinnedPath
            unproved = registration.unproved.isEmpty ? nil : registration.unproved.sorted()
        }

        /// What is not known here is taken for the worst: another host has the LUN.
        var registration: DiskRegistration {
            var registration = DiskRegistration(
                key: ReservationKey(parsing: key) ?? .none,
                state: DiskRegistration.State(rawValue: state) ?? .evicted, persists: aptpl,
                pinnedPath: pinnedPath)
            registration.unproved = Set(unproved ?? [])
            if registration.key == .none { registration.state = .evicted }
            return registration
        }
    }

    /// The request as it was made, before it inherited anything.
    var ownRequest: AttachRequest {
        guard let own else { return request }
        var request = request
        request.policy = nil
        request.settings = own.settings
        request.queueDepth = own.queueDepth
        return request
    }

    /// By this a successor finds the kernel's device.
    var backendIdentifier: String { "causeway:\(request.name):\(wwid)" }
}

/// The disks of this machine, one file each: written before the kernel's device is made, removed when it is
/// gone.
///
/// Kept in the state directory under `/run`, so that it survives the daemon and not the machine.
final class DiskRecords: Sendable {
    let folder: String
    /// Held while a record is read, changed and written.
    private let changing = Mutex(())

    init(stateDirectory: String) {
        folder = stateDirectory + "/disks"
    }

    func prepare() throws(SystemError) { try StateFile.makeFolder(folder) }

    private func path(_ name: DiskName) -> String { "\(folder)/\(name).json" }

    /// Changes a record; one that is not there stays away.
    func change(_ name: DiskName, _ change: (inout DiskRecord) -> Void) throws(SystemError) {
        try changing.withLock { _ throws(SystemError) in
            guard var record = read(name) else { return }
            let old = record
            change(&record)
            if record != old { try write(record) }
        }
    }

    func write(_ record: DiskRecord) throws(SystemError) {
        guard let text = try? MessageCodec.encodeText(record, pretty: true) else {
            throw SystemError(call: "write", errno: .invalidArgument, subject: path(record.request.name))
        }
        try StateFile.replace(path(record.request.name), with: text + [0x0a])
    }

    func read(_ name: DiskName) -> DiskRecord? {
        guard let text = try? SmallFile.read(path(name)) else { return nil }
        return try? MessageCodec.decode(DiskRecord.self, from: Array(text.utf8))
    }

    func remove(_ name: DiskName) {
        changing.withLock { _ in _ = unsafe unlink(path(name)) }
    }

    /// All that can be read, and the files that cannot.
    func all() -> (records: [DiskRecord], unreadable: [String]) {
        var records: [DiskRecord] = []
        var unreadable: [String] = []
        for file in StateFile.names(in: folder) where file.hasSuffix(".json") {
            if let name = try? DiskName(String(file.dropLast(5))), let record = read(name),
                record.request.name == name
            {
                records.append(record)
            } else {
                unreadable.append("\(folder)/\(file)")
            }
        }
        return (records, unreadable)
    }
}
