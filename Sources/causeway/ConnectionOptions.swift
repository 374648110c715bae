import ArgumentParser
import CausewayControl
import Glibc

/// How a subcommand reaches the daemon.
struct ConnectionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The daemon's control socket (default: $CAUSEWAY_CONTROL, else \(ControlClient.defaultPath)).",
            valueName: "path"),
        completion: .file())
    var control: String?

    var path: String {
        if let control { return control }
        if let value = unsafe getenv("CAUSEWAY_CONTROL"), case let path = unsafe String(cString: value),
            !path.isEmpty
        {
            return path
        }
        return ControlClient.defaultPath
    }

    /// Connects and asks; a failure is explained on standard error and ends the command with status 1.
    func ask<Answer>(
        _ question: (inout ControlClient) throws(ControlClientError) -> Answer
    ) throws -> Answer {
        do throws(ControlClientError) {
            var client = try ControlClient(path: path)
            return try question(&client)
        } catch {
            Terminal.complain(error.message, remedy: error.remedy)
            throw ExitCode.failure
        }
    }
}
