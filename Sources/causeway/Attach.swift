import ArgumentParser
import CausewayControl
import Glibc

struct Attach: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Attach a LUN as a disk, over every given interface and portal.",
        discussion: """
            The disk is there as soon as its first path is up; the other paths join as they come. With --all-luns \
            every LUN of the target becomes a disk, called NAME-lunN after its number; those that are there \
            already are left alone.
            """)

    @Argument(
        help: "The disk's name: 1 to 32 of a-z, 0-9, - and _, the first a letter or digit.",
        transform: DiskName.argument)
    var name: DiskName

    @Option(help: ArgumentHelp("The target's name.", valueName: "iqn"))
    var target: String

    @Option(
        name: .customLong("portal"), parsing: .upToNextOption,
        help: "A portal of the target: ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT. May be repeated.",
        transform: PortalAddress.argument)
    var portals: [PortalAddress]

    @Option(
        name: .customLong("bind"), parsing: .upToNextOption,
        help: ArgumentHelp("An interface to bind paths to. May be repeated.", valueName: "interface"))
    var interfaces: [String] = []

    @Option(help: "The LUN's number.")
    var lun: UInt64?

    @Flag(help: "Attach every LUN of the target, as NAME-lunN.")
    var allLuns = false

    @Option(
        help: ArgumentHelp(
            "Export the disk on this Unix socket (NBD protocol) instead of a kernel device; with --all-luns on PATH-lunN.",
            valueName: "path"),
        completion: .file())
    var socket: String?

    @Flag(help: "Refuse writes.")
    var readOnly = false

    @Flag(help: "Attach the LUN although this machine has it already by another way.")
    var force = false

    @Option(help: "How I/O is spread over the paths, such as round-robin,ios=8.")
    var policy: String?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("A setting as 'causeway set' takes it. May be repeated.", valueName: "key=value"),
        transform: Setting.argument)
    var settings: [Setting] = []

    @Option(help: ArgumentHelp("Commands in flight on a path at most.", valueName: "commands"))
    var queueDepth: UInt32?

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var connection: ConnectionOptions

    /// - Parameter each: for one of all LUNs.
    private func request(each number: UInt64? = nil) throws(ControlError) -> AttachRequest {
        guard let lun = number ?? (allLuns ? 0 : lun) else {
            throw .invalidArgument("no LUN is given", remedy: "give --lun or --all-luns")
        }
        guard self.lun == nil || !allLuns else {
            throw .invalidArgument("--lun and --all-luns do not go together", remedy: "give one of them")
        }
        let suffix = number.map { "-lun\($0)" } ?? ""
        return AttachRequest(
            name: number == nil ? name : try DiskName(name.text + suffix), target: target, portals: portals,
            interfaces: interfaces, lun: lun, socket: socket.map { Self.absolutePath($0) + suffix }, readOnly: readOnly, force: force, policy: policy,
            settings: try Setting.byKey(settings), queueDepth: queueDepth)
    }

    func validate() throws {
        try usage { () throws(ControlError) in try request().validate() }
    }

    func run() throws {
        if allLuns { return try attachAll() }
        let wanted = try request()
        let disk = try connection.ask { client throws(ControlClientError) in try client.attach(wanted) }
        if json {
            try Terminal.writeJSON(disk)
        } else {
            Terminal.write(disk.attachedLines)
        }
    }

    /// One after the other; what cannot be attached is said, and the rest is attached all the same.
    private func attachAll() throws {
        let discovery = try connection.ask { client throws(ControlClientError) in
            try client.discover(DiscoverRequest(portals: portals, interfaces: interfaces, luns: true))
        }
        // The controller that some targets show as LUN 0 has no size.
        let found = discovery.targets.first { $0.name == target }?.luns.filter { $0.sizeBytes != nil } ?? []
        guard !found.isEmpty else {
            for problem in discovery.problems { Terminal.complain(problem) }
            Terminal.complain("\(target) shows no LUN that is a disk", remedy: "see: causeway discover --luns")
            throw ExitCode.failure
        }
        let present = try connection.ask { client throws(ControlClientError) in try client.list() }
        var disks: [DiskReport] = []
        var hasFailed = false
        for lun in found.map(\.lun).sorted() {
            if present.contains(where: { $0.target == target && $0.lun == lun }) { continue }
            do throws(ControlError) {
                let wanted = try request(each: lun)
                try wanted.validate()
                do {
                    let disk = try connection.ask { client throws(ControlClientError) in
                        try client.attach(wanted)
                    }
                    disks.append(disk)
                    if !json { Terminal.write(disk.attachedLines) }
                } catch {
                    hasFailed = true
                }
            } catch {
                Terminal.complain(error.message, remedy: error.remedy)
                hasFailed = true
            }
        }
        if json { try Terminal.writeJSON(disks) }
        if !json && disks.isEmpty && !hasFailed { Terminal.write(["every LUN is attached already"]) }
        if hasFailed { throw ExitCode.failure }
    }

    /// The daemon has a working directory of its own, so a relative path is completed here.
    private static func absolutePath(_ path: String) -> String {
        guard !path.isEmpty, !path.hasPrefix("/"), let folder = unsafe getcwd(nil, 0) else { return path }
        defer { unsafe free(folder) }
        return unsafe String(cString: folder) + "/" + path
    }
}
