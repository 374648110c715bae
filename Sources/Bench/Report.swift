import Foundation

/// The figures of a run as a text for people and as JSON for programs.
struct Report {
    /// What was asked for, printed with the result.
    struct Parameters: Codable {
        var rounds: Int
        var seconds: Double
        var memoryMebibytes: Int
        var targetSettings: [String]
        var media: [Medium]
        var workloads: [Workload]
        var contestants: [Contestant]
    }

    /// What the project asks of Causeway on every workload.
    static let cpuToStickGoal = 1.3
    static let throughputToQEMUGoal = 1.5

    var machine: Machine
    var parameters: Parameters
    var measurements: Measurements

    var heading: String {
        let versions = machine.versions.sorted { $0.key < $1.key }.map { "  \($0.key): \($0.value)" }
        let settings = parameters.targetSettings.isEmpty ? "defaults" : "\(parameters.targetSettings)"
        return """
            machine: \(machine.processor), \(machine.cores) cores, Linux \(machine.kernel), \
            load \(machine.loadAverage)
            commit: \(machine.commit)
            \(versions.joined(separator: "\n"))
            parameters: \(parameters.rounds) rounds of \(parameters.seconds) s a cell, \
            LUN in memory \(parameters.memoryMebibytes) MiB, target settings: \(settings)
            """
    }

    /// One table a workload, medians over the rounds, and the goals that were missed.
    var text: String {
        var lines: [String] = []
        var (missed, judged) = ([String](), 0)
        for medium in parameters.media {
            // An interrupted run has nothing to say about the workloads that it did not reach.
            for workload in parameters.workloads where measurements.hasSample(of: workload, on: medium) {
                lines.append("")
                lines.append(
                    Report.row(
                        "\(workload.name), \(medium.rawValue) LUN",
                        ["IOPS", "MB/s", "mean us", "p99 us", "CPU us/IO", "CPU:stick", "IOPS:qemu"]))
                for contestant in parameters.contestants {
                    let cell = Measurements.Cell(medium: medium, workload: workload, contestant: contestant)
                    lines.append(row(of: cell))
                    judged += goals(of: cell).count
                    missed += goals(of: cell).compactMap(\.self)
                }
            }
        }
        if judged > 0 {
            lines.append("")
            lines.append(
                "goals: CPU at most \(Report.cpuToStickGoal) x the stick's, IOPS at least "
                    + "\(Report.throughputToQEMUGoal) x qemu-nbd's: \(judged - missed.count) of \(judged) met"
            )
            lines += missed.map { "  missed: \($0)" }
        }
        if !measurements.notes.isEmpty {
            lines.append("")
            lines += measurements.notes.map { "note: \($0)" }
        }
        return lines.joined(separator: "\n")
    }

    private func row(of cell: Measurements.Cell) -> String {
        let name = "  \(cell.contestant.rawValue)"
        guard let middle = Sample.medians(of: measurements.rounds(of: cell)) else {
            return Report.row(name, ["no result"])
        }
        return Report.row(
            name,
            [
                Report.number(middle.iops, 0), Report.number(middle.megabytesPerSecond, 1),
                Report.number(middle.meanLatency, 0), Report.number(middle.p99Latency, 0),
                Report.number(middle.cpuPerIO, 2),
                Report.number(measurements.cpuToStick(cell), 2),
                Report.number(measurements.throughputToQEMU(cell), 2),
            ])
    }

    /// One entry for each goal that can be judged: nil when it is met, else what was missed.
    private func goals(of cell: Measurements.Cell) -> [String?] {
        guard cell.contestant.isCauseway else { return [] }
        let place = "\(cell.contestant.rawValue), \(cell.workload.name), \(cell.medium.rawValue) LUN"
        var goals: [String?] = []
        if let cpu = measurements.cpuToStick(cell) {
            goals.append(
                cpu <= Report.cpuToStickGoal ? nil : "\(place): CPU \(Report.number(cpu, 2)) x the stick's")
        }
        if let iops = measurements.throughputToQEMU(cell) {
            goals.append(
                iops >= Report.throughputToQEMUGoal
                    ? nil : "\(place): IOPS \(Report.number(iops, 2)) x qemu-nbd's")
        }
        return goals
    }

    private static func row(_ name: String, _ columns: [String]) -> String {
        let fields = columns.map { String(repeating: " ", count: max(0, 10 - $0.count)) + $0 }
        return name + String(repeating: " ", count: max(1, 34 - name.count)) + fields.joined()
    }

    private static func number(_ value: Double?, _ digits: Int) -> String {
        value.map { String(format: "%.\(digits)f", $0) } ?? "-"
    }

    /// All samples, with their medians and ratios.
    func json() throws -> Data {
        struct Result: Encodable {
            var medium: Medium
            var workload: String
            var contestant: Contestant
            var median: Sample?
            var cpuToStick: Double?
            var throughputToQEMU: Double?
            var rounds: [Sample]
        }
        struct Document: Encodable {
            var machine: Machine
            var parameters: Parameters
            var notes: [String]
            var results: [Result]
        }
        var results: [Result] = []
        for medium in parameters.media {
            for workload in parameters.workloads {
                for contestant in parameters.contestants {
                    let cell = Measurements.Cell(medium: medium, workload: workload, contestant: contestant)
                    let rounds = measurements.rounds(of: cell)
                    results.append(
                        Result(
                            medium: medium, workload: workload.name, contestant: contestant,
                            median: Sample.medians(of: rounds), cpuToStick: measurements.cpuToStick(cell),
                            throughputToQEMU: measurements.throughputToQEMU(cell), rounds: rounds))
                }
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return try encoder.encode(
            Document(
                machine: machine, parameters: parameters, notes: measurements.notes, results: results))
    }
}
