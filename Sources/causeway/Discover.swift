import ArgumentParser
import CausewayControl

struct Discover: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the targets that portals offer, and their LUNs.")

    @Argument(
        help: "Portals to ask: ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT.", transform: PortalAddress.argument)
    var portal: [PortalAddress]

    @Option(
        name: .customLong("bind"), parsing: .upToNextOption,
        help: ArgumentHelp("Ask through these interfaces.", valueName: "interface"),
        completion: .networkInterfaces)
    var interfaces: [String] = []

    @Flag(help: "Log in to each target and list its LUNs.")
    var luns = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var chap: CHAPOptions

    @OptionGroup var connection: ConnectionOptions

    private func request() throws -> DiscoverRequest {
        DiscoverRequest(
            portals: portal.withoutRepeats, interfaces: interfaces.withoutRepeats, luns: luns,
            chap: try chap.request())
    }

    func validate() throws {
        try usage(try request().validate)
    }

    func run() throws {
        let request = try request()
        let discovery = try connection.ask { client throws(ControlClientError) in try client.discover(request)
        }
        if json {
            try Terminal.writeJSON(discovery)
        } else {
            if !discovery.targets.isEmpty || discovery.problems.isEmpty { Terminal.write(discovery.lines) }
            for problem in discovery.problems { Terminal.complain(problem) }
        }
        if discovery.targets.isEmpty && !discovery.problems.isEmpty { throw ExitCode.failure }
    }
}
