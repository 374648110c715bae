import ArgumentParser
import CausewayControl

struct Rescan: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a disk's LUN how large it is now, and make the disk as large.")

    @Argument(help: "The disk's name.", completion: .attachedDisks, transform: DiskName.argument)
    var name: DiskName

    @Flag(help: "Make the disk smaller if its LUN is; what was kept beyond is lost.")
    var allowShrink = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        let disk = try connection.ask { client throws(ControlClientError) in
            try client.rescan(RescanRequest(name: name, allowShrink: allowShrink))
        }
        if json {
            try Terminal.writeJSON(disk)
        } else {
            Terminal.write(disk.lines)
        }
    }
}
