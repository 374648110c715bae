import ArgumentParser
import CausewayControl

struct PathCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "path",
        abstract: "Add, remove, disable and enable paths of a disk that is attached.",
        discussion: """
            A path is named by its interface, its portal, or both as INTERFACE/PORTAL. Disks of one target share its
            paths.
            """,
        subcommands: [Add.self, Remove.self, Disable.self, Enable.self])

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add paths: over more interfaces, to more portals, or both.")

        @Argument(help: "The disk's name.", completion: .attachedDisks, transform: DiskName.argument)
        var name: DiskName

        @Option(
            name: .customLong("bind"), parsing: .upToNextOption,
            help: ArgumentHelp("An interface; without, those that the disk has.", valueName: "interface"),
            completion: .networkInterfaces)
        var interfaces: [String] = []

        @Option(
            name: .customLong("portal"), parsing: .upToNextOption,
            help: "A portal; without, those that the disk has.", transform: PortalAddress.argument)
        var portals: [PortalAddress] = []

        @OptionGroup var connection: ConnectionOptions

        private var request: AddPathsRequest {
            AddPathsRequest(
                name: name, interfaces: interfaces.withoutRepeats, portals: portals.withoutRepeats)
        }

        func validate() throws {
            try usage(request.validate)
        }

        func run() throws {
            let disk = try connection.ask { client throws(ControlClientError) in try client.addPaths(request)
            }
            Terminal.write(disk.attachedLines)
        }
    }

    /// What the commands for paths that are there have in common.
    struct Paths: ParsableArguments {
        @Argument(help: "The disk's name.", completion: .attachedDisks, transform: DiskName.argument)
        var name: DiskName

        @Argument(help: "Each an interface, a portal, or INTERFACE/PORTAL.")
        var paths: [String]

        @OptionGroup var connection: ConnectionOptions

        func run(_ method: String, force: Bool) throws {
            let request = ChangePathsRequest(name: name, paths: paths, force: force)
            try usage(request.validate)
            let disk = try connection.ask { client throws(ControlClientError) in
                try client.changePaths(method, request)
            }
            Terminal.write(disk.attachedLines)
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove paths: what is under way ends, then they are logged out.")
        @OptionGroup var paths: Paths
        @Flag(help: "Also when no path that works is left.")
        var force = false
        func run() throws { try paths.run(InterfaceDescription.Method.removePaths, force: force) }
    }

    struct Disable: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Log paths out and leave them so until they are enabled.")
        @OptionGroup var paths: Paths
        @Flag(help: "Also when no path that works is left.")
        var force = false
        func run() throws { try paths.run(InterfaceDescription.Method.disablePaths, force: force) }
    }

    struct Enable: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take disabled paths into use again.")
        @OptionGroup var paths: Paths
        func run() throws { try paths.run(InterfaceDescription.Method.enablePaths, force: false) }
    }
}
