import ArgumentParser
import Foundation
import Glibc

/// `swift run -c release Bench`: the whole job, an iSCSI LUN on an NBD socket, measured against others who
/// do it.
@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Bench",
        abstract: "Measures Causeway against qemu-nbd and a C measuring stick, on this machine, in turns.",
        discussion: """
            Starts a tgtd of its own on loopback and every contestant on it, loads them with fio's NBD \
            engine and prints medians. Everything it starts ends with it.
            """)

    @Option(help: "Turns each contestant gets on each workload.")
    var rounds = 5
    @Option(help: "Length of a turn in seconds.")
    var seconds = 2.0
    @Flag(help: "One very short round of everything: shows that it all works, measures nothing.")
    var quick = false
    @Option(help: ArgumentHelp("Workloads whose name contains this.", valueName: "workload"))
    var only: String?
    @Option(
        help: "Comma-separated: causeway-1, causeway-2, causeway-digests, causeway-queues, qemu-nbd, stick.")
    var contestants: String?
    @Option(help: "What the LUN is made of, comma-separated: null, memory.")
    var media = "null,memory"
    @Option(
        help: "Source of the C measuring stick; ../shared/bench/floor.c beside the package if it is there.")
    var stick: String?
    @Option(help: "For tgtadm, MaxRecvDataSegmentLength=262144 for example; may be given more than once.")
    var targetSetting: [String] = []
    @Option(help: "Also write every sample as JSON into this file.")
    var json: String?

    func validate() throws {
        guard rounds > 0, seconds >= 0.1, seconds.isFinite else {
            throw ValidationError("--rounds must be at least 1 and --seconds at least 0.1")
        }
        _ = try (chosenContestants(), chosenMedia(), chosenWorkloads())
    }

    private func list<Element: CaseIterable & RawRepresentable<String>>(_ text: String, of _: Element.Type)
        throws -> [Element]
    {
        try text.split(separator: ",").map {
            guard let element = Element(rawValue: String($0)) else {
                let known = Element.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("'\($0)' is none of \(known)")
            }
            return element
        }
    }
    private func chosenContestants() throws -> [Contestant] {
        try contestants.map { try list($0, of: Contestant.self) } ?? Contestant.allCases
    }
    private func chosenMedia() throws -> [Medium] { try list(media, of: Medium.self) }
    private func chosenWorkloads() throws -> [Workload] {
        let chosen = Workload.all.filter { only.map($0.name.contains) ?? true }
        guard !chosen.isEmpty else {
            let names = Workload.all.map(\.name).joined(separator: ", ")
            throw ValidationError("no workload's name contains '\(only ?? "")': \(names)")
        }
        return chosen
    }

    func run() throws {
        Signals.block()
        var parameters = Report.Parameters(
            rounds: quick ? 1 : rounds, seconds: quick ? 0.2 : seconds, memoryMebibytes: quick ? 16 : 256,
            targetSettings: targetSetting, media: try chosenMedia(), workloads: try chosenWorkloads(),
            contestants: try chosenContestants())
        var measurements = Measurements()
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        do throws(BenchError) {
            _ = try Tools.path(of: "fio")
            let compiled = try compileStick(&parameters, &measurements, in: folder)
            let target = try Target(
                media: parameters.media, mebibytes: parameters.memoryMebibytes, settings: targetSetting,
                in: folder)
            defer { target.end() }
            let machine = Machine(
                targetVersion: target.version, contestants: parameters.contestants, in: folder)
            var tournament = Tournament(
                parameters: parameters, target: target, stick: compiled, folder: folder,
                measurements: measurements, progress: tell)
            show(Report(machine: machine, parameters: parameters, measurements: measurements).heading)
            var interruption: BenchError?
            do throws(BenchError) { try tournament.run() } catch { interruption = error }
            try publish(
                Report(
                    machine: machine, parameters: parameters, measurements: tournament.measurements))
            if let interruption { throw interruption }
            measurements = tournament.measurements
        } catch {
            tell("Bench: \(error)")
            if case .interrupted(let signal) = error { throw ExitCode(128 + signal) }
            throw ExitCode.failure
        }
        if measurements.hasFailed { throw ExitCode.failure }
    }

    /// Compiles the stick, or takes it out of the contest where its source is absent.
    private func compileStick(
        _ parameters: inout Report.Parameters, _ measurements: inout Measurements, in folder: TemporaryFolder
    ) throws(BenchError) -> String? {
        guard parameters.contestants.contains(.stick) else { return nil }
        let source = stick ?? "\(Tools.packageRoot)/../shared/bench/floor.c"
        guard FileManager.default.fileExists(atPath: source) else {
            guard stick == nil else { throw .unusable("--stick \(source): no such file") }
            parameters.contestants.removeAll { $0 == .stick }
            measurements.note("no measuring stick: neither --stick FILE nor ../shared/bench/floor.c")
            return nil
        }
        let program = folder.unusedPath("stick")
        try Child.run("cc", ["-O2", "-w", "-o", program, source], in: folder)
        return program
    }

    private func publish(_ report: Report) throws(BenchError) {
        show(report.text)
        guard let json else { return }
        do {
            try report.json().write(to: URL(filePath: json))
        } catch {
            throw .unusable("--json \(json): \(error.localizedDescription)")
        }
    }

    /// Not `print`, which keeps its text back when standard output is a pipe.
    private func show(_ text: String) { FileHandle.standardOutput.write(Data("\(text)\n".utf8)) }

    /// Progress goes to standard error, so that standard output holds the result alone.
    private func tell(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }
}
