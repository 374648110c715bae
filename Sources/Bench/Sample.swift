import Foundation

/// What one contestant did in one turn.
struct Sample: Codable {
    var ios: Int
    var iops: Double
    /// 10^6 bytes a second.
    var megabytesPerSecond: Double
    /// From submission to completion, microseconds.
    var meanLatency: Double
    /// nil where fio says none.
    var p99Latency: Double?
    /// CPU time of the bridge per I/O, user and system, microseconds.
    var cpuPerIO: Double

    /// Runs fio's NBD engine on the bridge for `seconds`.
    static func measure(
        _ workload: Workload, on bridge: Bridge, seconds: Double, mebibytes: Int, in folder: TemporaryFolder
    ) throws(BenchError) -> Sample {
        let output = folder.unusedPath("fio.json")
        // What is under way is the same for everybody.
        let clients = min(bridge.contestant.queues, workload.depth)
        let fio = try Child(
            "fio",
            [
                "--name=\(workload.name)", "--ioengine=nbd", "--uri=nbd+unix:///?socket=\(bridge.socket)",
                "--rw=\(workload.pattern)", "--bs=\(workload.blockBytes)",
                "--iodepth=\(workload.depth / clients)",
                "--numjobs=\(clients)", "--group_reporting",
                "--size=\(mebibytes)m", "--time_based", "--runtime=\(Int(seconds * 1000))ms", "--thread",
                // The client's own work is kept small: two processors are all that many machines have for it,
                // the bridge and the target.
                "--norandommap", "--scramble_buffers=0",
                "--lat_percentiles=1", "--clat_percentiles=0", "--output-format=json", "--output=\(output)",
            ],
            log: folder.unusedPath("fio.log"))
        defer { fio.end() }
        let before = try bridge.process.cpuNanoseconds()
        try fio.finish(seconds: seconds + 30)
        let after = try bridge.process.cpuNanoseconds()
        if let status = bridge.process.exitStatus() {
            throw .exited(bridge.process.name, status: status, log: bridge.process.logTail())
        }
        guard let json = FileManager.default.contents(atPath: output) else {
            throw .unusable("fio wrote no result: \(fio.logTail())")
        }
        return try Sample(fio: json, cpuNanoseconds: after &- before)
    }

    /// - Parameter json: what `fio --output-format=json` printed; text before the first brace is skipped, fio
    ///   puts its warnings there.
    init(fio json: Data, cpuNanoseconds: UInt64) throws(BenchError) {
        let result: FioResult
        do {
            result = try JSONDecoder().decode(
                FioResult.self, from: json.drop { $0 != UInt8(ascii: "{") })
        } catch {
            throw .unusable("fio's result cannot be read: \(error)")
        }
        guard let job = result.jobs.first else { throw .unusable("fio's result has no job") }
        guard job.error == 0 else { throw .unusable("fio's I/O failed: \(errorText(job.error))") }
        let direction = job.read.totalIOs > 0 ? job.read : job.write
        guard direction.totalIOs > 0 else { throw .unusable("fio did no I/O") }
        ios = direction.totalIOs
        iops = direction.iops
        megabytesPerSecond = direction.bytesPerSecond / 1e6
        meanLatency = direction.latency.mean / 1000
        p99Latency = direction.latency.percentile?["99.000000"].map { $0 / 1000 }
        cpuPerIO = Double(cpuNanoseconds) / 1000 / Double(ios)
    }

    private init(medianOf samples: [Sample]) {
        ios = samples.reduce(0) { $0 + $1.ios }
        iops = samples.map(\.iops).median
        megabytesPerSecond = samples.map(\.megabytesPerSecond).median
        meanLatency = samples.map(\.meanLatency).median
        let percentiles = samples.compactMap(\.p99Latency)
        p99Latency = percentiles.isEmpty ? nil : percentiles.median
        cpuPerIO = samples.map(\.cpuPerIO).median
    }

    /// Each figure's own median; `ios` is the sum. Nil for no sample.
    static func medians(of samples: [Sample]) -> Sample? {
        samples.isEmpty ? nil : Sample(medianOf: samples)
    }
}

/// The part of fio's JSON that is used.
private struct FioResult: Decodable {
    struct Latency: Decodable {
        var mean: Double
        var percentile: [String: Double]?
    }
    struct Direction: Decodable {
        var totalIOs: Int
        var iops: Double
        var bytesPerSecond: Double
        var latency: Latency
        enum CodingKeys: String, CodingKey {
            case totalIOs = "total_ios"
            case iops
            case bytesPerSecond = "bw_bytes"
            case latency = "lat_ns"
        }
    }
    struct Job: Decodable {
        var error: Int32
        var read: Direction
        var write: Direction
    }
    var jobs: [Job]
}
