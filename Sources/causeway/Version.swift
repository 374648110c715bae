import ArgumentParser
import CausewayControl

struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the versions of this command and of the running daemon.")

    @OptionGroup var connection: ConnectionOptions

    func run() {
        Terminal.write(["causeway \(CausewayVersion.current)"])
        do throws(ControlClientError) {
            var client = try ControlClient(path: connection.path)
            let info = try client.serviceInfo()
            Terminal.write(["\(info.product) \(info.version)".escapedForTerminal])
        } catch {
            // Asking for a version is no failure where no daemon runs.
            Terminal.write(["causewayd: \(error.message)".escapedForTerminal])
        }
    }
}
