import ArgumentParser
import CausewayControl

struct Params: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the parameters of a disk's sessions: wanted, negotiated, and what they may be.")

    @Argument(help: "The disk's name.", completion: .attachedDisks, transform: DiskName.argument)
    var name: DiskName

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        let parameters = try connection.ask { client throws(ControlClientError) in try client.parameters(name)
        }
        if json {
            try Terminal.writeJSON(parameters)
        } else {
            Terminal.write(parameters.lines)
        }
    }
}
