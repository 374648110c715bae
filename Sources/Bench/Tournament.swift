import Foundation

/// The course of a run: for each medium all bridges are started once and then take turns, in each round in
/// another order, on one workload after the other. A bridge that waits for its turn costs nothing.
struct Tournament {
    var parameters: Report.Parameters
    var target: Target
    /// The compiled measuring stick.
    var stick: String?
    var folder: TemporaryFolder
    /// Told what is going on.
    var progress: (String) -> Void

    private(set) var measurements = Measurements()

    init(
        parameters: Report.Parameters, target: Target, stick: String?, folder: TemporaryFolder,
        measurements: Measurements, progress: @escaping (String) -> Void
    ) {
        self.parameters = parameters
        self.target = target
        self.stick = stick
        self.folder = folder
        self.measurements = measurements
        self.progress = progress
    }

    /// Throws only when interrupted: what else fails is noted, and the rest goes on.
    mutating func run() throws(BenchError) {
        for medium in parameters.media { try run(medium) }
    }

    private mutating func run(_ medium: Medium) throws(BenchError) {
        var bridges: [Bridge] = []
        defer { for bridge in bridges { bridge.end() } }
        for contestant in parameters.contestants {
            progress("starting \(contestant.rawValue) on the \(medium.rawValue) LUN")
            do throws(BenchError) {
                let bridge = try Bridge.start(
                    contestant, medium: medium, target: target, stick: stick, in: folder)
                bridges.append(bridge)
                // The first I/O pays for memory touched and caches filled for the first time.
                _ = try measure(Workload.all[0], on: bridge, seconds: min(parameters.seconds, 0.5))
            } catch {
                try note(error, "\(contestant.rawValue), \(medium.rawValue) LUN")
            }
        }
        for workload in parameters.workloads {
            for round in 0..<parameters.rounds {
                progress(
                    "\(medium.rawValue) LUN, \(workload.name), round \(round + 1) of \(parameters.rounds)")
                for index in bridges.indices {
                    let bridge = bridges[(index + round) % bridges.count]
                    guard bridge.process.exitStatus() == nil else { continue }
                    let cell = Measurements.Cell(
                        medium: medium, workload: workload, contestant: bridge.contestant)
                    do throws(BenchError) {
                        let sample = try measure(workload, on: bridge, seconds: parameters.seconds)
                        measurements.add(sample, to: cell, round: round)
                    } catch {
                        try note(
                            error, "\(bridge.contestant.rawValue), \(workload.name), \(medium.rawValue) LUN")
                    }
                }
            }
        }
    }

    private func measure(_ workload: Workload, on bridge: Bridge, seconds: Double) throws(BenchError)
        -> Sample
    {
        try Sample.measure(
            workload, on: bridge, seconds: seconds, mebibytes: parameters.memoryMebibytes, in: folder)
    }

    private mutating func note(_ error: BenchError, _ place: String) throws(BenchError) {
        if case .interrupted = error { throw error }
        measurements.fail("\(place): \(error)")
        progress("\(place): \(error)")
    }
}
