import Foundation

/// Where the programs are that a run needs.
enum Tools {
    /// The Debian package of each.
    private static let packages = [
        "fio": "fio", "tgtd": "tgt", "tgtadm": "tgt", "qemu-nbd": "qemu-utils qemu-block-extra", "cc": "gcc",
        "git": "git",
    ]

    static func find(_ program: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        // tgtd is in /usr/sbin, which is not in everyone's PATH.
        let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]
        return folders.map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    static func path(of program: String) throws(BenchError) -> String {
        guard let path = find(program) else {
            throw .toolMissing(program, package: packages[program] ?? program)
        }
        return path
    }

    /// A program of this package: SwiftPM builds it into the same folder as this one.
    static func sibling(_ program: String) throws(BenchError) -> String {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let path = URL(filePath: own).deletingLastPathComponent().appending(path: program).path()
        guard FileManager.default.isExecutableFile(atPath: path) else { throw .notBuilt(program) }
        return path
    }

    /// The folder that holds Package.swift.
    static let packageRoot = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path()
}
