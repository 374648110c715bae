import Foundation
import Glibc

/// Where and with what a run was made: without this its figures mean nothing.
struct Machine: Codable {
    var processor: String
    var cores: Int
    var kernel: String
    var loadAverage: String
    var commit: String
    var versions: [String: String]

    init(targetVersion: String, contestants: [Contestant], in folder: TemporaryFolder) {
        func firstLine(_ program: String, _ arguments: [String]) -> String? {
            (try? Child.run(program, arguments, in: folder))?
                .split(separator: "\n").first.map(String.init)
        }
        let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        processor =
            information.split(separator: "\n").first { $0.hasPrefix("model name") }?
            .split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "unknown"
        cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        var name = utsname()
        uname(&name)
        kernel = withUnsafeBytes(of: name.release) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        loadAverage =
            (try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8))?
            .split(separator: " ").prefix(3).joined(separator: " ") ?? "unknown"
        commit =
            firstLine("git", ["-C", Tools.packageRoot, "describe", "--always", "--dirty", "--abbrev=12"])
            ?? "unknown"
        versions = ["tgtd": targetVersion, "fio": firstLine("fio", ["--version"]) ?? "unknown"]
        if contestants.contains(.qemuNBD) {
            versions["qemu-nbd"] = firstLine("qemu-nbd", ["--version"]) ?? "unknown"
        }
        if contestants.contains(.stick) { versions["cc"] = firstLine("cc", ["--version"]) ?? "unknown" }
    }
}
