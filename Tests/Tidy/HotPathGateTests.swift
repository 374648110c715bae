import Foundation
import Testing

/// hot-path-gate.sh bites: shown on a small program, since what it guards is a release build.
@Suite struct HotPathGateTests {
    static let program = """
        final class Box { var n = 0 }
        nonisolated(unsafe) var kept: Box?
        struct Lane {
            var total = 0
            var box = Box()
            @inline(never) mutating func clean(_ n: Int) { total &+= n; step(n) }
            @inline(never) mutating func step(_ n: Int) { total ^= n }
            @inline(never) func retains() { kept = box }
            @inline(never) mutating func asks(_ n: Int) { if n > 3 { complains() } else { total &+= n } }
            @inline(never) func complains() { kept = Box() }
            @inline(never) func calls(_ f: (Int) -> Int) -> Int { f(total) &+ 1 }
        }
        var lane = Lane()
        let n = CommandLine.arguments.count
        lane.clean(n)
        lane.retains()
        lane.asks(n)
        var functions: [(Int) -> Int] = [{ $0 &+ 1 }, { $0 ^ 5 }]
        print(lane.total, lane.calls(functions[n & 1]))
        """

    static let gate = Tree.root.appending(path: "Tests/Tidy/hot-path-gate.sh").path()
    static let hasTools = ["objdump", "swift", "swiftc"].allSatisfy { run("command -v \($0)").status == 0 }

    static func run(_ command: String) -> (status: Int32, output: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", command]
        process.standardOutput = pipe
        process.standardError = pipe
        guard (try? process.run()) != nil else { return (127, "") }
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    @Test(.enabled(if: hasTools, "objdump (binutils) and swift are needed"))
    func `The gate bites`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "hot-path-gate.\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let binary = folder.appending(path: "sample").path()
        try Data(HotPathGateTests.program.utf8).write(to: folder.appending(path: "main.swift"))
        let built = HotPathGateTests.run("cd '\(folder.path())' && swiftc -O main.swift -o sample")
        try #require(built.status == 0, "\(built.output)")

        func judge(_ list: String) throws -> (status: Int32, output: String) {
            let file = folder.appending(path: "list.txt")
            try Data(list.utf8).write(to: file)
            return HotPathGateTests.run("'\(HotPathGateTests.gate)' '\(binary)' '\(file.path())'")
        }
        let clean = try judge("# a comment\n\nLane.clean\n")
        #expect(clean.status == 0, "\(clean.output)")
        #expect(
            clean.output.contains("2 functions checked"), "its callee is checked with it: \(clean.output)")

        let retains = try judge("Lane.clean\nLane.retains()\n")
        #expect(retains.status == 1)
        #expect(retains.output.contains("swift_retain"))

        let callee = try judge("Lane.asks(_:)\n")
        #expect(callee.status == 1)
        #expect(callee.output.contains("swift_allocObject\n    called by"), "\(callee.output)")
        #expect(try judge("Lane.asks(_:)\ncold Lane.complains()\n").status == 0)

        let pointer = try judge("Lane.calls\n")
        #expect(pointer.status == 1)
        #expect(pointer.output.contains("a call through a pointer"), "\(pointer.output)")

        for absent in ["Lane.gone", "Lane.cle", "Lane.clean\ncold Lane.gone", "# nothing"] {
            let judged = try judge("\(absent)\n")
            #expect(judged.status == 1, "\(absent): \(judged.output)")
        }
        #expect(HotPathGateTests.run("strip '\(binary)'").status == 0)
        #expect(try judge("Lane.clean\n").status != 0, "a stripped binary shows nothing")
    }
}
