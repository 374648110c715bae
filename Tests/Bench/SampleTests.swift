import Foundation
import Testing

@testable import Bench

@Suite struct SampleTests {
    /// The shape of fio 3.33's result, with the fields that count.
    static func fio(reads: Int, writes: Int, error: Int = 0, percentiles: Bool = true) -> Data {
        let percentile = percentiles ? #", "percentile": {"95.000000": 200000, "99.000000": 300000}"# : ""
        func direction(_ ios: Int) -> String {
            """
            {"total_ios": \(ios), "iops": 2500.5, "bw_bytes": 10242048, "slat_ns": {"mean": 1},
             "lat_ns": {"mean": 125000.0\(percentile)}}
            """
        }
        return Data(
            """
            fio: a warning before the result
            {"fio version": "fio-3.33", "jobs": [{"jobname": "x", "error": \(error),
             "read": \(direction(reads)), "write": \(direction(writes))}]}
            """.utf8)
    }

    @Test(arguments: [(1000, 0), (0, 1000)])
    func `fio's result is read`(reads: Int, writes: Int) throws {
        let sample = try Sample(
            fio: SampleTests.fio(reads: reads, writes: writes), cpuNanoseconds: 12_500_000)
        #expect(sample.ios == 1000)
        #expect(sample.iops == 2500.5)
        #expect(sample.megabytesPerSecond == 10.242048)
        #expect(sample.meanLatency == 125)
        #expect(sample.p99Latency == 300)
        #expect(sample.cpuPerIO == 12.5)
    }

    @Test func `A percentile that fio does not say is none, not zero`() throws {
        let without = try Sample(
            fio: SampleTests.fio(reads: 1, writes: 0, percentiles: false), cpuNanoseconds: 1)
        #expect(without.p99Latency == nil)
        #expect(try #require(Sample.medians(of: [without])).p99Latency == nil)
        let with = try Sample(fio: SampleTests.fio(reads: 1, writes: 0), cpuNanoseconds: 1)
        #expect(try #require(Sample.medians(of: [without, with])).p99Latency == 300)
    }

    @Test func `A failed or empty turn is no sample`() {
        #expect(throws: BenchError.self) {
            try Sample(fio: SampleTests.fio(reads: 1, writes: 0, error: 5), cpuNanoseconds: 1)
        }
        #expect(throws: BenchError.self) {
            try Sample(fio: SampleTests.fio(reads: 0, writes: 0), cpuNanoseconds: 1)
        }
        #expect(throws: BenchError.self) { try Sample(fio: Data("no JSON".utf8), cpuNanoseconds: 1) }
    }
}

@Suite struct MeasurementsTests {
    private func sample(iops: Double, cpu: Double) throws -> Sample {
        var sample = try Sample(fio: SampleTests.fio(reads: 10, writes: 0), cpuNanoseconds: 1)
        sample.iops = iops
        sample.cpuPerIO = cpu
        return sample
    }

    @Test func `The median is the middle`() {
        #expect([3.0, 1, 2].median == 2)
        #expect([4.0, 1, 3, 2].median == 2.5)
        #expect([7.0].median == 7)
    }

    @Test func `Ratios pair the samples of one round`() throws {
        var measurements = Measurements()
        let ours = Measurements.Cell(medium: .null, workload: Workload.all[0], contestant: .causewayOnePath)
        let qemu = Measurements.Cell(medium: .null, workload: Workload.all[0], contestant: .qemuNBD)
        // The machine is three times as fast in round 1; round 2 has no partner and counts for nothing.
        measurements.add(try sample(iops: 200, cpu: 10), to: ours, round: 0)
        measurements.add(try sample(iops: 600, cpu: 10), to: ours, round: 1)
        measurements.add(try sample(iops: 900, cpu: 10), to: ours, round: 2)
        measurements.add(try sample(iops: 100, cpu: 30), to: qemu, round: 0)
        measurements.add(try sample(iops: 300, cpu: 30), to: qemu, round: 1)
        #expect(measurements.throughputToQEMU(ours) == 2)
        #expect(measurements.cpuToStick(ours) == nil)
        #expect(measurements.rounds(of: ours).count == 3)
    }
}
