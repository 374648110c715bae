import ArgumentParser
import CausewayConfiguration
import CausewayControl

struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take over the configuration of another initiator.", subcommands: [OpenISCSI.self])

    struct OpenISCSI: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "open-iscsi",
            abstract: "Make a causeway.toml of open-iscsi's node records; no daemon is needed.",
            discussion: """
                Prints the sections of a causeway.toml, and for each target what attaches its LUNs.
                CHAP secrets are never printed. Values that open-iscsi comes with are left to Causeway's own.
                The status is 1 if a record was skipped, or if nothing was written with --write.
                """)

        @Option(
            help: ArgumentHelp(
                "The records; ifaces and initiatorname.iscsi are looked for beside them.",
                valueName: "directory"),
            completion: .directory)
        var nodes = OpenISCSIImport.defaultNodes

        @Option(
            help: ArgumentHelp(
                "The configuration to write; secrets go into the folder secrets beside it.",
                valueName: "file"),
            completion: .file(extensions: ["toml"]))
        var config = ConfigurationFiles().adapter

        @Flag(help: "Only print: the default.")
        var dryRun = false

        @Flag(help: "Write the configuration and the secrets, and nothing if one of the files exists.")
        var write = false

        func validate() throws {
            guard !(dryRun && write) else {
                throw ValidationError("--dry-run and --write do not go together")
            }
        }

        func run() throws {
            let adapter = FilePath.absolute(config)
            let folder = adapter.lastIndex(of: "/").map { String(adapter[..<$0]) } ?? ""
            let found = OpenISCSIImport(nodes: FilePath.absolute(nodes), secrets: folder + "/secrets")
            for problem in found.problems { Terminal.complain(problem.description) }
            guard !found.isEmpty else {
                Terminal.complain("there is no record to import in \(nodes)")
                throw ExitCode.failure
            }
            if write {
                try put(found, adapter)
            } else {
                show(found)
            }
            if found.problems.contains(where: \.isError) { throw ExitCode.failure }
        }

        private func show(_ found: OpenISCSIImport) {
            var lines = found.text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            lines += found.secretFiles.map { "# The secret in \($0.source) would go into \($0.path)." }
            lines.append("# Nothing is written: --write does that.")
            Terminal.write(lines.map(\.escapedForTerminal))
        }

        private func put(_ found: OpenISCSIImport, _ adapter: String) throws {
            var lines: [String] = []
            do throws(OpenISCSIImportError) {
                lines = try found.write(to: adapter).map { "wrote \($0)" }
            } catch {
                Terminal.complain(error.message, remedy: error.remedy)
                throw ExitCode.failure
            }
            lines += ["", "Once open-iscsi is logged out of them (iscsiadm -m node --logoutall=all):"]
            lines += (["causeway reload"] + found.commands).map { "  \($0)" }
            Terminal.write(lines.map(\.escapedForTerminal))
        }
    }
}
