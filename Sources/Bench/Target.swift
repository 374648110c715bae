import Foundation
import Glibc

/// A tgtd of this run's own on loopback, with a control socket and a TCP port that no other one uses.
/// Each medium is LUN 1 of its own target, reached through the same two portals.
final class Target {
    let port: UInt16
    let version: String
    private let folder: TemporaryFolder
    private let daemon: Child
    private let environment: [String: String]

    static let addresses = ["127.0.0.1", "127.0.0.2"]

    var portals: [String] { Target.addresses.map { "\($0):\(port)" } }

    static func name(of medium: Medium) -> String { "iqn.2026-01.io.causeway:bench.\(medium.rawValue)" }
    private static func id(of medium: Medium) -> String { medium == .null ? "1" : "2" }

    /// - Parameter settings: `KEY=VALUE` pairs for tgtadm, MaxRecvDataSegmentLength=262144 for example.
    init(media: [Medium], mebibytes: Int, settings: [String], in folder: TemporaryFolder) throws(BenchError) {
        self.folder = folder
        _ = try Tools.path(of: "tgtadm")
        environment = ["TGT_IPC_SOCKET": "\(folder.path)/tgtd"]
        version =
            (try? Child.run("tgtd", ["--version"], in: folder))?
            .trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown"
        port = try Target.unusedPort()
        let portals = Target.addresses.map { [port] in "portal=\($0):\(port)" }.joined(separator: ",")
        daemon = try Child(
            "tgtd", ["-f", "-C", "1", "--iscsi", portals], log: folder.unusedPath("tgtd.log"),
            environment: environment)
        do throws(BenchError) {
            try daemon.wait(for: "control socket", seconds: 10) { () throws(BenchError) -> Bool in
                do throws(BenchError) {
                    try administer("show", "sys", [])
                    return true
                } catch .exited {
                    return false
                }
            }
            for medium in media { try add(medium, mebibytes: mebibytes, settings: settings) }
        } catch {
            daemon.end()
            throw error
        }
    }

    private func add(_ medium: Medium, mebibytes: Int, settings: [String]) throws(BenchError) {
        let target = ["--tid", Target.id(of: medium)]
        try administer("new", "target", target + ["-T", Target.name(of: medium)])
        for setting in settings {
            let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw .unusable("--target-setting \(setting): KEY=VALUE wanted") }
            try administer("update", "target", target + ["-n", parts[0], "-v", parts[1]])
        }
        let lun = target + ["--lun", "1"]
        switch medium {
        case .null:
            try administer("new", "logicalunit", lun + ["--bstype", "null", "-b", "/dev/null"])
        case .memory:
            let memory = try TemporaryFolder(under: "/dev/shm")
            // tgtd keeps the file open: it needs no name after this, and cannot be left behind.
            defer { memory.remove() }
            let file = memory.unusedPath("lun")
            try Target.fill(file, mebibytes: mebibytes)
            try administer("new", "logicalunit", lun + ["--bstype", "rdwr", "-b", file])
        }
        try administer("bind", "target", target + ["-I", "ALL"])
    }

    /// Every page is written once, so that a read finds memory and not a hole.
    private static func fill(_ path: String, mebibytes: Int) throws(BenchError) {
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system(path, errno: errno) }
        defer { close(file) }
        let block = [UInt8](repeating: 0xa5, count: 1 << 20)
        for _ in 0..<mebibytes where write(file, block, block.count) != block.count {
            throw .system("\(mebibytes) MiB in \(path)", errno: errno)
        }
    }

    @discardableResult
    private func administer(_ operation: String, _ mode: String, _ arguments: [String])
        throws(BenchError) -> String
    {
        try Child.run(
            "tgtadm", ["-C", "1", "--lld", "iscsi", "--op", operation, "--mode", mode] + arguments,
            in: folder, environment: environment)
    }

    /// Whether logins from now on may have header and data digests; never by the target's own wish.
    func offerDigests(_ offers: Bool, on medium: Medium) throws(BenchError) {
        for key in ["HeaderDigest", "DataDigest"] {
            try administer(
                "update", "target",
                ["--tid", Target.id(of: medium), "-n", key, "-v", offers ? "CRC32C,None" : "None"])
        }
    }

    /// How many sessions `initiator` has with any target of this tgtd.
    func sessions(of initiator: String) throws(BenchError) -> Int {
        try administer("show", "target", []).split(separator: "\n")
            .count { $0.trimmingCharacters(in: .whitespaces).hasPrefix("Initiator: \(initiator) ") }
    }

    func end() { daemon.end() }

    /// A TCP port free on every address of the target.
    private static func unusedPort() throws(BenchError) -> UInt16 {
        for _ in 0..<20 {
            guard let port = try bound(to: addresses[0], port: 0) else { continue }
            if try bound(to: addresses[1], port: port) == port { return port }
        }
        throw .unusable("no TCP port is free on both \(addresses[0]) and \(addresses[1])")
    }

    private static func bound(to address: String, port: UInt16) throws(BenchError) -> UInt16? {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw .system("socket", errno: errno) }
        defer { close(socket) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &name.sin_addr)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &name) { name in
            name.withMemoryRebound(to: sockaddr.self, capacity: 1) { any in
                bind(socket, any, length) == 0 && getsockname(socket, any, &length) == 0
            } ? UInt16(bigEndian: name.pointee.sin_port) : nil
        }
    }
}
