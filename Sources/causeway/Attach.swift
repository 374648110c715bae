import ArgumentParser
import CausewayControl
import Glibc

struct Attach: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Attach a LUN as a disk, over every given interface and portal.",
        discussion: """
            The disk is there as soon as its first path is up; the other paths join as they come.
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
    var lun: UInt64

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

    @Option(help: "How I/O is spread over the paths, such as round-robin.")
    var policy: String?

    @Option(help: ArgumentHelp("Commands in flight on a path at most.", valueName: "commands"))
    var queueDepth: UInt32?

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var connection: ConnectionOptions

    var request: AttachRequest {
        AttachRequest(
            name: name, target: target, portals: portals, interfaces: interfaces, lun: lun,
            socket: socket.map(Self.absolutePath), readOnly: readOnly, force: force, policy: policy,
            queueDepth: queueDepth)
    }

    func validate() throws {
        try usage(request.validate)
    }

    func run() throws {
        let disk = try connection.ask { client throws(ControlClientError) in try client.attach(request) }
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
