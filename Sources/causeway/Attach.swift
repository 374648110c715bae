import ArgumentParser
import CausewayControl
import Glibc

struct Attach: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Attach a LUN as a disk, over every given interface and portal.",
        discussion: """
            The disk is there as soon as its first path is up; the other paths join as they come.
            With a name alone the disk is attached as its file in /etc/causeway/disks says.
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
        name: .customLong("bind"), parsing: .upToNextOption,
        help: ArgumentHelp("An interface to bind paths to. May be repeated.", valueName: "interface"))
    var interfaces: [String] = []

    @Option(help: "The LUN's number.")
    var lun: UInt64?

    @Option(
        help: ArgumentHelp(
            "Export the disk on this Unix socket (NBD protocol) instead of a kernel device.",
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

    @Flag(help: "Attach the disk whenever the daemon runs: write its file.")
    var persist = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var connection: ConnectionOptions

    /// nil for a disk that is to be attached as its file says.
    private func request() throws -> AttachRequest? {
        let isPlain =
            interfaces.isEmpty && socket == nil && !readOnly && !force && policy == nil && queueDepth == nil
            && settings.isEmpty && !persist
        if target == nil, portals.isEmpty, lun == nil, isPlain { return nil }
        guard let target, let lun, !portals.isEmpty else {
            throw ValidationError(
                "--target, --portal and --lun go together; leave all options out to attach the disk as its "
                    + "file says")
        }
        return AttachRequest(
            name: name, target: target, portals: portals, interfaces: interfaces, lun: lun,
            socket: socket.map(Self.absolutePath), readOnly: readOnly, force: force, policy: policy,
            settings: try usage { () throws(ControlError) in try Setting.byKey(settings) },
            queueDepth: queueDepth, persist: persist)
    }

    func validate() throws {
        if let request = try request() { try usage(request.validate) }
    }

    func run() throws {
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

    /// The daemon has a working directory of its own, so a relative path is completed here.
    private static func absolutePath(_ path: String) -> String {
        guard !path.isEmpty, !path.hasPrefix("/"), let folder = unsafe getcwd(nil, 0) else { return path }
        defer { unsafe free(folder) }
        return unsafe String(cString: folder) + "/" + path
    }
}
