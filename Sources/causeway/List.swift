import ArgumentParser
import CausewayControl

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the attached disks.")

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        let disks = try connection.ask { client throws(ControlClientError) in try client.list() }
        if json {
            try Terminal.writeJSON(disks)
        } else {
            Terminal.write(DiskSummary.lines(of: disks))
        }
    }
}
