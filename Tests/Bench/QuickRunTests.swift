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
            "--quick", "--only", "qd32", "--media", "null", "--contestants", "qemu-nbd", "--json", json,
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
        #expect(output.contains("4k-randread-qd32, null LUN"))

        struct Document: Decodable {
            struct Median: Decodable { var iops, cpuPerIO: Double }
            struct Result: Decodable {
                var workload: String
                var median: Median
            }
            var results: [Result]
        }
        let document = try JSONDecoder().decode(Document.self, from: Data(contentsOf: URL(filePath: json)))
        #expect(document.results.map(\.workload) == ["4k-randread-qd32", "4k-randwrite-qd32"])
        #expect(document.results.allSatisfy { $0.median.iops > 0 && $0.median.cpuPerIO > 0 })
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path()) == ["result.json"])
    }
}
