import ArgumentParser
import CausewayConfiguration
import CausewayControl

struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look after the configuration.", subcommands: [Check.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check configuration files; no daemon is needed.",
            discussion: """
                Without FILE everything is checked that the daemon would read. A FILE in a folder named disks is
                taken for a disk's, any other for a causeway.toml. The status is 1 if there is an error.
                """)

        @Argument(help: "Files to check.", completion: .file(extensions: ["toml"]))
        var file: [String] = []

        @Option(
            help: ArgumentHelp(
                "Check this configuration, and the disks beside it, instead of "
                    + "\(ConfigurationFiles().adapter).", valueName: "file"),
            completion: .file(extensions: ["toml"]))
        var config: String?

        func validate() throws {
            guard file.isEmpty || config == nil else {
                throw ValidationError("give files or --config, not both")
            }
        }

        func run() throws {
            let adapter = config.map(FilePath.absolute) ?? ConfigurationFiles().adapter
            let files = ConfigurationFiles(adapter: adapter)
            let problems: [ConfigurationProblem]
            if file.isEmpty {
                let (configuration, found) = files.load()
                problems = found + files.checkSecrets(of: configuration)
            } else {
                problems = file.flatMap { ConfigurationFiles.check(FilePath.absolute($0)) }
            }
            for problem in problems { Terminal.complain(problem.description) }
            if problems.contains(where: \.isError) { throw ExitCode.failure }
            Terminal.write(["no errors"])
        }
    }
}
