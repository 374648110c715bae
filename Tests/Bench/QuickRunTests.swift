import Foundation
import Testing

/// The benchmark itself, with tiny parameters: it must not rot while nobody measures.
@Suite struct QuickRunTests {
    static let isPossible =
        geteuid() == 0
        && ["fio", "tgtd", "qemu-nbd"].allSatisfy { program in
            ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].contains {
                FileManager.default.isExecutableFile(atPath: "\($0)/\(program)")
            }
        }

    static let contestants = ["causeway-1", "causeway-2", "qemu-nbd"]
    static let workloads = ["4k-randread-qd32", "4k-randwrite-qd32"]

    /// A heading and below it one line for each contestant, with a figure in every column that can have one.
    private func checkTable(_ title: String, in output: String) throws {
        let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0.hasPrefix(title) }, "\(title) is missing: \(output)")
        let heading = lines[start].dropFirst(title.count).split(separator: " ").joined(separator: " ")
        #expect(heading == "IOPS MB/s mean us p99 us CPU us/IO CPU:stick IOPS:qemu")
        let rows = lines.dropFirst(start + 1).prefix(Self.contestants.count)
        try #require(rows.count == Self.contestants.count, "\(output)")
        for (line, contestant) in zip(rows, Self.contestants) {
            let fields = line.split(separator: " ").map(String.init)
            try #require(fields.count == 8, "\(line)")
            #expect(fields[0] == contestant)
            for (column, field) in fields.enumerated().dropFirst() {
                // No stick takes part.
                #expect(column == 6 ? field == "-" : Double(field) ?? 0 > 0, "\(line)")
            }
        }
    }

    @Test(.enabled(if: isPossible, "root, fio, tgtd and qemu-nbd are needed"), .timeLimit(.minutes(2)))
    func `A quick run measures and leaves nothing behind`() throws {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let bench = URL(filePath: own).deletingLastPathComponent().appending(path: "Bench")
        let folder = FileManager.default.temporaryDirectory.appending(path: "bench.\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let json = folder.appending(path: "result.json").path()

        let process = Process()
        process.executableURL = bench
        process.arguments = [
            "--quick", "--only", "qd32", "--media", "null,memory", "--contestants",
            Self.contestants.joined(separator: ","), "--json", json,
        ]
        process.environment = ProcessInfo.processInfo.environment
            .merging(["TMPDIR": folder.path()]) { _, new in new }
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(output)")
        for medium in ["null", "memory"] {
            for workload in Self.workloads { try checkTable("\(workload), \(medium) LUN", in: output) }
        }

        struct Document: Decodable {
            struct Median: Decodable { var iops, cpuPerIO: Double }
            struct Result: Decodable {
                var medium, workload, contestant: String
                var median: Median
            }
            var results: [Result]
        }
        let document = try JSONDecoder().decode(Document.self, from: Data(contentsOf: URL(filePath: json)))
        let expected = ["null", "memory"].flatMap { medium in
            Self.workloads.flatMap { workload in
                Self.contestants.map { "\(medium) \(workload) \($0)" }
            }
        }
        #expect(document.results.map { "\($0.medium) \($0.workload) \($0.contestant)" } == expected)
        #expect(document.results.allSatisfy { $0.median.iops > 0 && $0.median.cpuPerIO > 0 })
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path()) == ["result.json"])
    }
}
