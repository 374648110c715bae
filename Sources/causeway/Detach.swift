import ArgumentParser
import CausewayControl

struct Detach: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Flush a disk, take its device away and log out.")

    @Argument(help: "The disk's name.", completion: .attachedDisks, transform: DiskName.argument)
    var name: DiskName

    @Flag(help: "Detach although the disk is in use; what still waits is answered with an error.")
    var force = false

    @Flag(help: "Remove the disk's file too, so that it stays detached.")
    var forget = false

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        try connection.ask { client throws(ControlClientError) in
            try client.detach(DetachRequest(name: name, force: force, forget: forget))
        }
    }
}
