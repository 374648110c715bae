import ArgumentParser
import CausewayControl

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Have the daemon read its configuration again and apply it to the disks in use.",
        discussion: """
            Where a file has a mistake nothing is changed. What a disk's file says goes before what was set by
            hand since. The status is 1 if something could not be done.
            """)

    @Flag(help: "Log paths in anew where changes wait for that: one after the other, never the last one.")
    var relogin = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        let report: ReloadReport
        do throws(ControlClientError) {
            var client = try ControlClient(path: connection.path)
            report = try client.reload(ReloadRequest(relogin: relogin))
        } catch {
            // One line each, as config check has them.
            if case .refused(let refusal) = error, let problems = refusal.problems {
                for problem in problems { Terminal.complain(problem) }
                Terminal.complain("nothing is changed", remedy: refusal.remedy)
            } else {
                Terminal.complain(error.message, remedy: error.remedy)
            }
            throw ExitCode.failure
        }
        if json {
            try Terminal.writeJSON(report)
        } else {
            Terminal.write(report.lines)
        }
        for problem in report.problems { Terminal.complain(problem) }
        if report.hasProblems { throw ExitCode.failure }
    }
}
