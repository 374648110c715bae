import ArgumentParser
import CausewayControl

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the attached disks.")

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Print the names alone, one a line.")
    var names = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard !(json && names) else { throw ValidationError("give --json or --names, not both") }
    }

    func run() throws {
        let disks = try connection.ask { client throws(ControlClientError) in try client.list() }
        if names {
            Terminal.write(disks.map(\.name.text))
        } else if json {
            try Terminal.writeJSON(disks)
        } else {
            Terminal.write(DiskSummary.lines(of: disks))
        }
    }
}
