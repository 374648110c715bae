import ArgumentParser
import CausewayControl

struct Attach: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Attach a LUN as a disk, over every given interface and portal.",
        discussion: """
            The disk is there as soon as its first path is up; the other paths join as they come.
            With a name alone the disk is attached as its file in /etc/causeway/disks says.
            With --all-luns every LUN of the target becomes a disk, called NAME-lunN after its number; those \
            that are attached already are left alone.
            """)

    @Argument(
        help: "The disk's name: 1 to 32 of a-z, 0-9, - and _, the first a letter or digit.",
        transform: DiskName.argument)
    var name: DiskName

    @Option(help: ArgumentHelp("The target's name.", valueName: "iqn"))
    var target: String?

    @Option(
        name: .customLong("portal"), parsing: .upToNextOption,
        help: "A portal of the target: ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT. May be repeated.",
        transform: PortalAddress.argument)
    var portals: [PortalAddress] = []

    @Option(
        help: ArgumentHelp(
            "An address that lists the target's portals (SendTargets), in place of them.", valueName: "portal"
        ),
        transform: PortalAddress.argument)
    var discovery: PortalAddress?

    @Option(
        name: .customLong("bind"), parsing: .upToNextOption,
        help: ArgumentHelp("An interface to bind paths to. May be repeated.", valueName: "interface"),
        completion: .networkInterfaces)
    var interfaces: [String] = []

    @Option(help: "The LUN's number.")
    var lun: UInt64?

    @Flag(help: "Attach every LUN of the target, as NAME-lunN.")
    var allLuns = false

    @Option(
        help: ArgumentHelp(
            "Export on this Unix socket (NBD protocol) instead of a kernel device; of all LUNs on PATH-lunN.",
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

    @Flag(help: "Let interfaces join when they appear; at least one must be there now.")
    var waitForInterfaces = false

    @Option(help: ArgumentHelp("Commands in flight on a path at most.", valueName: "commands"))
    var queueDepth: UInt32?

    @Option(
        help: ArgumentHelp(
            "Hardware queues of the device, 1 to 16, and as many sessions on each path.",
            valueName: "number"))
    var queues: UInt32?

    @Flag(help: "Attach the disk whenever the daemon runs: write its file.")
    var persist = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var chap: CHAPOptions

    @OptionGroup var connection: ConnectionOptions

    /// nil for a disk that is to be attached as its file says.
    /// - Parameter each: for one of all LUNs, its number.
    private func request(each number: UInt64? = nil) throws -> AttachRequest? {
        let isPlain =
            interfaces.isEmpty && socket == nil && !readOnly && !force && policy == nil && queueDepth == nil
            && queues == nil && settings.isEmpty && !persist && !allLuns
        let chap = try chap.request()
        if target == nil, portals.isEmpty, discovery == nil, lun == nil, chap == nil, isPlain { return nil }
        guard lun == nil || !allLuns else { throw ValidationError("--lun and --all-luns do not go together") }
        guard let target, let lun = number ?? (allLuns ? 0 : lun),
            !portals.isEmpty || discovery != nil
        else {
            throw ValidationError(
                "--target, --portal or --discovery, and --lun or --all-luns go together; leave all options "
                    + "out to attach the disk as its file says")
        }
        let suffix = number.map { "-lun\($0)" } ?? ""
        return AttachRequest(
            name: try usage { () throws(ControlError) in try DiskName(name.text + suffix) }, target: target,
            portals: portals.withoutRepeats, discovery: discovery, interfaces: interfaces.withoutRepeats,
            lun: lun, socket: socket.map { FilePath.absolute($0) + suffix }, readOnly: readOnly, force: force,
            policy: policy, settings: try usage { () throws(ControlError) in try Setting.byKey(settings) },
            queueDepth: queueDepth, waitForInterfaces: waitForInterfaces, persist: persist,
            queues: queues, chap: chap)
    }

    func validate() throws {
        if let request = try request() { try usage(request.validate) }
    }

    func run() throws {
        if allLuns { return try attachAll() }
        let wanted = try request()
        let disk = try connection.ask { client throws(ControlClientError) in
            if let wanted { return try client.attach(wanted) }
            return try client.attachConfigured(name)
        }
        if json {
            try Terminal.writeJSON(disk)
        } else {
            Terminal.write(disk.attachedLines)
        }
    }

    /// One after the other; what cannot be attached is said, and the rest is attached all the same.
    private func attachAll() throws {
        guard let target else { return }
        let question = DiscoverRequest(
            portals: portals.isEmpty ? [discovery].compactMap { $0 } : portals.withoutRepeats,
            interfaces: interfaces.withoutRepeats, luns: true,
            chap: try chap.request())
        let discovery = try connection.ask { client throws(ControlClientError) in
            try client.discover(question)
        }
        // The controller that some targets show as LUN 0 has no size.
        let found = discovery.targets.first { $0.name == target }?.luns.filter { $0.sizeBytes != nil } ?? []
        guard !found.isEmpty else {
            for problem in discovery.problems { Terminal.complain(problem) }
            Terminal.complain(
                "\(target) shows no LUN that is a disk", remedy: "see: causeway discover --luns")
            throw ExitCode.failure
        }
        let present = try connection.ask { client throws(ControlClientError) in try client.list() }
        var disks: [DiskReport] = []
        var hasFailed = false
        for lun in found.map(\.lun).sorted() {
            if present.contains(where: { $0.target == target && $0.lun == lun }) { continue }
            do {
                guard let wanted = try request(each: lun) else { continue }
                try usage(wanted.validate)
                let disk = try connection.ask { client throws(ControlClientError) in
                    try client.attach(wanted)
                }
                disks.append(disk)
                if !json { Terminal.write(disk.attachedLines) }
            } catch let error as ValidationError {
                Terminal.complain("LUN \(lun): \(error.message)")
                hasFailed = true
            } catch {
                // Explained by whoever asked.
                hasFailed = true
            }
        }
        if json { try Terminal.writeJSON(disks) }
        if !json && disks.isEmpty && !hasFailed { Terminal.write(["every LUN is attached already"]) }
        if hasFailed { throw ExitCode.failure }
    }
}
