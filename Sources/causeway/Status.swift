import ArgumentParser
import CausewayControl

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a disk with its paths, counters and latest events.")

    @Argument(help: "The disk's name.", completion: .attachedDisks, transform: DiskName.argument)
    var name: DiskName

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        let disk = try connection.ask { client throws(ControlClientError) in try client.status(name) }
        if json {
            try Terminal.writeJSON(disk)
        } else {
            Terminal.write(disk.lines)
        }
    }
}
