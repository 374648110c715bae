import ArgumentParser
import Foundation

/// Who does the job: bridges a LUN to an NBD client on a Unix socket.
enum Contestant: String, CaseIterable, Codable, ExpressibleByArgument {
    case causewayOnePath = "causeway-1"
    case causewayTwoPaths = "causeway-2"
    /// One path, with CRC32C over every header and all data (RFC 7143 §13.1).
    case causewayDigests = "causeway-digests"
    /// One path and two queues, each a thread with a session of its own, for two clients.
    case causewayQueues = "causeway-queues"
    /// QEMU's NBD server on libiscsi: the same job, one path.
    case qemuNBD = "qemu-nbd"
    /// The least a bridge can cost: a C program on plain epoll without errors, digests or paths.
    case stick

    var paths: Int { self == .causewayTwoPaths ? 2 : 1 }
    /// As many clients share the load.
    var queues: Int { self == .causewayQueues ? 2 : 1 }
    /// Held against the goals: digests do work that the others leave out, and queues have more threads.
    var isCauseway: Bool { self == .causewayOnePath || self == .causewayTwoPaths }
}

/// A contestant at work on one LUN.
final class Bridge {
    let contestant: Contestant
    /// Where it serves NBD.
    let socket: String
    /// The process whose CPU time counts.
    let process: Child
    private let leave: () -> Void

    private init(_ contestant: Contestant, socket: String, process: Child, leave: @escaping () -> Void = {}) {
        self.contestant = contestant
        self.socket = socket
        self.process = process
        self.leave = leave
    }

    /// - Parameter stick: the compiled measuring stick.
    static func start(
        _ contestant: Contestant, medium: Medium, target: Target, stick: String?, in folder: TemporaryFolder
    ) throws(BenchError) -> Bridge {
        let socket = folder.unusedPath("\(contestant.rawValue).sock")
        let log = folder.unusedPath("\(contestant.rawValue).log")
        let name = Target.name(of: medium)
        let process: Child
        switch contestant {
        case .causewayOnePath, .causewayTwoPaths:
            return try startCauseway(
                contestant, socket: socket, log: log, name: name, target: target, in: folder)
        case .causewayDigests:
            // For this login only: who offers both would be given digests too.
            try target.offerDigests(true, on: medium)
            defer { try? target.offerDigests(false, on: medium) }
            return try startCauseway(
                contestant, socket: socket, log: log, name: name, target: target, in: folder,
                options: ["--set", "header-digest=crc32c", "--set", "data-digest=crc32c"])
        case .causewayQueues:
            return try startCauseway(
                contestant, socket: socket, log: log, name: name, target: target, in: folder,
                options: ["--queues", "\(contestant.queues)"])
        case .qemuNBD:
            process = try Child(
                "qemu-nbd",
                [
                    "--persistent", "--format=raw", "--socket=\(socket)",
                    "iscsi://\(target.portals[0])/\(name)/1",
                ],
                log: log)
        case .stick:
            guard let stick else { throw .unusable("the measuring stick was not compiled") }
            process = try Child(
                stick, [socket, Target.addresses[0], String(target.port), name, "1"], log: log)
        }
        do throws(BenchError) {
            try process.wait(for: "socket", seconds: 20) { FileManager.default.fileExists(atPath: socket) }
            // The name is there between bind and listen; a trial connection would be the stick's one client.
            try Signals.wait(seconds: 0.1)
        } catch {
            process.end()
            throw error
        }
        return Bridge(contestant, socket: socket, process: process)
    }

    private static func startCauseway(
        _ contestant: Contestant, socket: String, log: String, name: String, target: Target,
        in folder: TemporaryFolder, options: [String] = []
    ) throws(BenchError) -> Bridge {
        let (daemon, client) = (try Tools.sibling("causewayd"), try Tools.sibling("causeway"))
        let control = folder.unusedPath("control")
        let state = folder.unusedPath("state")
        guard mkdir(state, 0o700) == 0 else { throw .system(state, errno: errno) }
        let configuration = folder.unusedPath("causeway.toml")
        do {
            try "lanes = \(contestant.queues)\n".write(
                toFile: configuration, atomically: false, encoding: .utf8)
        } catch {
            throw .unusable("\(configuration): \(error.localizedDescription)")
        }
        let environment = ["CAUSEWAY_CONTROL": control]
        // A daemon of its own for each contestant, hence a name of its own: with one name the sessions of the
        // second would reinstate those of the first (RFC 7143 §6.3.5).
        let initiator = "iqn.2026-01.io.causeway:\(contestant.rawValue)"
        let process = try Child(
            daemon,
            [
                "--control", control, "--state-dir", state, "--config", configuration,
                "--initiator-name", initiator,
            ],
            log: log)
        do throws(BenchError) {
            try process.wait(for: "control socket", seconds: 10) {
                FileManager.default.fileExists(atPath: control)
            }
            let portals = target.portals.prefix(contestant.paths).flatMap { ["--portal", $0] }
            try Child.run(
                client,
                ["attach", "bench", "--target", name] + portals + ["--lun", "1", "--socket", socket]
                    + options,
                in: folder, environment: environment)
            let sessions = contestant.paths * contestant.queues
            try process.wait(for: "\(sessions) sessions", seconds: 20) { () throws(BenchError) -> Bool in
                try target.sessions(of: initiator) >= sessions
            }
        } catch {
            process.end()
            throw error
        }
        return Bridge(contestant, socket: socket, process: process) {
            _ = try? Child.run(
                client, ["detach", "bench", "--force"], in: folder, environment: environment, seconds: 10)
        }
    }

    func end() {
        if process.exitStatus() == nil { leave() }
        process.end()
    }
}
