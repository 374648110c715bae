import CausewayControl
import Glibc
import Testing

/// `causeway` as it is typed, against a server with disks in memory.
@Suite struct CommandTests {
    private static let iqn = "iqn.2001-04.com.example:a"

    private func run(_ world: ServerWorld, _ arguments: String...) throws -> CommandRun {
        try CommandRun("causeway", arguments, environment: ["CAUSEWAY_CONTROL=\(world.path)"])
    }

    private func attach(_ world: ServerWorld, _ more: String...) throws -> CommandRun {
        try CommandRun(
            "causeway",
            ["attach", "data1", "--target", Self.iqn, "--portal", "10.0.1.1", "--portal", "10.0.2.1"] + more,
            environment: ["CAUSEWAY_CONTROL=\(world.path)"])
    }

    @Test func aDiskFromAttachToDetach() throws {
        let world = try ServerWorld()
        let attached = try attach(world, "--bind", "eth1", "--bind", "eth2", "--lun", "1")
        #expect(attached.errors == "")
        #expect(attached.status == 0)
        #expect(
            attached.output == """
                data1  /dev/nbd0  1 GiB  optimal

                  INTERFACE  ADDRESS  PORTAL         TPG  STATE
                  eth1       -        10.0.1.1:3260    -  active
                  eth2       -        10.0.1.1:3260    -  active
                  eth1       -        10.0.2.1:3260    -  active
                  eth2       -        10.0.2.1:3260    -  active

                """)
        let listed = try run(world, "list")
        #expect(
            listed.output == """
                NAME   DEVICE      SIZE  STATE    PATHS  LUN  TARGET
                data1  /dev/nbd0  1 GiB  optimal    2/4    1  iqn.2001-04.com.example:a

                """)
        let status = try run(world, "status", "data1", "--json")
        let report = try MessageCodec.decode(DiskReport.self, from: Array(status.output.utf8))
        #expect(report == (try world.service.status(DiskName("data1"))))
        #expect(
            try run(world, "status", "data1").output.hasPrefix(
                "data1  /dev/nbd0  1 GiB  optimal\n  Target    iqn"))
        let detached = try run(world, "detach", "data1")
        #expect(detached.status == 0 && detached.output == "" && detached.errors == "")
        #expect(try run(world, "list").output == "no disks\n")
    }

    @Test func everyAttachOptionArrives() throws {
        let world = try ServerWorld()
        let attached = try attach(
            world, "--bind", "eth1", "eth2", "--lun", "1", "--socket", "sub/d.sock", "--read-only", "--force",
            "--policy", "fixed", "--set", "a=1", "--set", "b=x=y", "--queue-depth", "8", "--json")
        #expect(attached.errors == "")
        let report = try MessageCodec.decode(DiskReport.self, from: Array(attached.output.utf8))
        // A relative socket path is completed where it was typed: the daemon's folder is another one.
        let folder = try #require(getcwd(nil, 0))
        defer { free(folder) }
        #expect(report.socket == String(cString: folder) + "/sub/d.sock")
        #expect(report.device == nil)
        #expect(report.readOnly)
        #expect(report.policy == "fixed")
        #expect(report.settings == ["policy": "fixed", "a": "1", "b": "x=y"])
        #expect(report.paths.map(\.interface) == ["eth1", "eth2", "eth1", "eth2"])
    }

    @Test func settingsOfALivingDisk() throws {
        let world = try ServerWorld()
        _ = try attach(world, "--bind", "eth1", "--lun", "1", "--policy", "fixed")
        let changed = try run(world, "set", "data1", "a=1", "policy=round-robin,ios=2")
        #expect(changed.status == 0 && changed.errors == "")
        #expect(changed.output == "a=1\npolicy=round-robin,ios=2\n")
        #expect(try run(world, "set", "data1").output == changed.output)
        #expect(try run(world, "set", "data2", "a=1").errors.hasPrefix("causeway: no disk named data2"))
        for wrong in ["a", "=1", ""] {
            let refused = try run(world, "set", "data1", wrong)
            #expect(refused.status == 64 && refused.errors.contains("is not key=value"))
        }
        #expect(try run(world, "set", "data1", "a=1", "a=2").errors.contains("a is given twice"))
        let twice = try attach(world, "--lun", "1", "--policy", "fixed", "--set", "policy=fixed")
        #expect(twice.status == 64 && twice.errors.contains("the policy is given twice"))
    }

    @Test func pathsOfALivingDisk() throws {
        let world = try ServerWorld()
        _ = try attach(world, "--bind", "eth1", "--lun", "1")
        let added = try run(world, "path", "add", "data1", "--bind", "eth3", "--portal", "10.0.3.1")
        #expect(added.errors == "" && added.output.contains("eth3       -        10.0.3.1:3260    -  active"))
        let disabled = try run(world, "path", "disable", "data1", "eth3")
        #expect(disabled.output.contains("10.0.3.1:3260    -  disabled"))
        #expect(try run(world, "path", "disable", "data1", "eth3", "--force").output.contains("-  down"))
        let enabled = try run(world, "path", "enable", "data1", "eth3")
        #expect(enabled.output.contains("10.0.3.1:3260    -  active"))
        let removed = try run(world, "path", "remove", "data1", "eth3")
        #expect(removed.output.contains("10.0.3.1:3260    -  removing"))
        #expect(try run(world, "path", "add", "data1").status == 64)
        #expect(try run(world, "path", "remove", "data1").status == 64)
        #expect(try run(world, "path", "remove", "data9", "eth1").status == 1)
    }

    @Test func errorsSayWhatAndWhatToDo() throws {
        let world = try ServerWorld()
        let refused = try attach(world, "--bind", "eth9", "--lun", "1")
        #expect(refused.status == 1)
        #expect(refused.output == "")
        #expect(
            refused.errors
                == "causeway: there is no network interface \"eth9\"\n  see the names with: ip -brief link\n")
        _ = try attach(world, "--bind", "eth1", "--lun", "1", "--read-only")
        let held = try run(world, "detach", "data1")
        #expect(held.status == 1)
        #expect(
            held.errors.hasPrefix(
                "causeway: data1 (/dev/nbd0) is in use: mounted on /srv, process 812 (fio)\n  "))
        #expect(try run(world, "detach", "data1", "--force").status == 0)
    }

    @Test func noDaemonAndNoRight() throws {
        let absent = try CommandRun("causeway", ["list", "--control", "/tmp/causeway-test-absent/s"])
        #expect(absent.status == 1)
        #expect(
            absent.errors == """
                causeway: the daemon is not running (no answer on /tmp/causeway-test-absent/s)
                  start it with: systemctl start causewayd

                """)
        let world = try ServerWorld { $0.access = { _ in .readOnly } }
        let denied = try attach(world, "--bind", "eth1", "--lun", "1")
        #expect(denied.status == 1)
        #expect(denied.errors == "causeway: only root may attach disks\n  run the command as root\n")
    }

    @Test func reload() throws {
        let world = try ServerWorld()
        // With mistakes in the files each is named by itself, and the status is 1.
        let wrong = try run(world, "reload")
        #expect(wrong.status == 1 && wrong.output == "")
        #expect(
            wrong.errors == #"""
                causeway: /etc/causeway/causeway.toml:3: there is no "chop"
                causeway: b.toml: x
                causeway: nothing is changed
                  correct it; causeway config check shows all that is wrong

                """#)
        _ = try attach(world, "--bind", "eth1", "--lun", "1")
        let plain = try run(world, "reload")
        #expect(plain.status == 0 && plain.errors == "")
        #expect(plain.output.hasPrefix("! initiator-name holds from the next start on\ndata1  changed\n"))
        #expect(plain.output.contains("not yet on eth1/10.0.1.1:3260, eth2/10.0.2.1:3260\n"))
        let again = try run(world, "reload", "--relogin", "--json")
        #expect(again.status == 1)
        #expect(again.errors == "causeway: data1: eth2/10.0.2.1:3260 did not log in again\n")
        let report = try MessageCodec.decode(ReloadReport.self, from: Array(again.output.utf8))
        #expect(report.disks.map(\.loggedIn) == [["eth1/10.0.1.1:3260"]])
    }

    @Test func whatATargetSaysReachesNoTerminalRaw() throws {
        let world = try ServerWorld()
        let found = try run(world, "discover", "10.0.0.1", "[2001:db8::1]:3261", "--bind", "eth1", "--luns")
        #expect(
            found.output == #"""
                iqn.2001-04.com.example:a
                  PORTAL              TPG  INTERFACE
                  10.0.0.1:3260         1  eth1
                  [2001:db8::1]:3261    1  eth1
                  LUN   SIZE  BLOCK  VENDOR  MODEL        SERIAL  WWID
                    1  1 GiB    512  FAKE    \x1b[31mred  1       naa.5

                """#)
        let json = try run(world, "discover", "10.0.0.1", "--luns", "--json")
        #expect(json.output.utf8.allSatisfy { $0 == 0x0a || (0x20...0x7e).contains($0) })
        #expect(json.output.contains(#""model" : "\u001b[31mred""#))
    }

    @Test func problemsOfADiscoveryGoToStandardError() throws {
        let world = try ServerWorld()
        let found = try run(world, "discover", "10.0.0.98")
        #expect(found.status == 1)
        #expect(found.output == "")
        #expect(found.errors == "causeway: 10.0.0.98:3260: connection refused\n")
    }

    @Test(arguments: [
        ["attach"], ["attach", "data1", "--lun", "1"], ["attach", "data1", "--persist"], ["status"],
        ["discover"], ["detach", "UPPER"], ["nonsense"],
        ["list", "more"],
        ["discover", "10.0.0.1:0"], ["discover", "10.0.0.1", "--bind", "no/name"],
        ["attach", "d", "--target", "t", "--portal", "10.0.0.1", "--lun", "-1"],
        ["attach", "d", "--target", "a b", "--portal", "10.0.0.1", "--lun", "1"],
        ["attach", "d", "--target", "t", "--portal", "10.0.0.1", "--lun", "1", "--queue-depth", "0"],
    ])
    func wrongUsageIsStatus64(arguments: [String]) throws {
        let result = try CommandRun("causeway", arguments)
        #expect(result.status == 64)
        #expect(result.output == "")
        #expect(!result.errors.isEmpty)
    }

    @Test func versions() throws {
        let world = try ServerWorld()
        let version = CausewayVersion.current
        #expect(try run(world, "version").output == "causeway \(version)\ncausewayd \(version)\n")
        #expect(try run(world, "--version").output == "causeway \(version)\n")
        let alone = try CommandRun("causeway", ["version", "--control", "/tmp/causeway-test-absent/s"])
        #expect(alone.status == 0)
        #expect(alone.output.hasPrefix("causeway \(version)\ncausewayd: the daemon is not running"))
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func completionsAreGenerated(shell: String) throws {
        let script = try CommandRun("causeway", ["--generate-completion-script", shell])
        #expect(script.status == 0)
        for subcommand in ["discover", "attach", "detach", "rescan", "reserve", "list", "status", "version"] {
            #expect(script.output.contains(subcommand))
        }
    }

    @Test(arguments: [
        ("causeway", ["discover", "--help"], "causeway.1"), ("causeway", ["attach", "--help"], "causeway.1"),
        ("causeway", ["rescan", "--help"], "causeway.1"), ("causeway", ["reserve", "--help"], "causeway.1"),
        ("causeway", ["detach", "--help"], "causeway.1"), ("causeway", ["list", "--help"], "causeway.1"),
        ("causeway", ["set", "--help"], "causeway.1"), ("causeway", ["path", "add", "--help"], "causeway.1"),
        ("causeway", ["path", "remove", "--help"], "causeway.1"),
        ("causeway", ["path", "disable", "--help"], "causeway.1"),
        ("causeway", ["status", "--help"], "causeway.1"), ("causewayd", ["--help"], "causewayd.8"),
    ])
    func everyOptionIsInTheManual(executable: String, arguments: [String], page: String) throws {
        let manual = try #require(textFile("man/" + page))
        let help = try CommandRun(executable, arguments).output
        let options = Set(help.split { " \n[],".contains($0) }.filter { $0.hasPrefix("--") })
        #expect(options.contains("--control"))
        // It is on every subcommand, and said once on causeway's page for all of them.
        for option in options where !(option == "--version" && page == "causeway.1") {
            #expect(manual.contains("Fl Fl \(option.dropFirst(2))"), "\(option) is not in \(page)")
        }
    }
}

/// A file of the source tree.
private func textFile(_ path: String, here: String = #filePath) -> String? {
    let root = here.split(separator: "/").dropLast(4).joined(separator: "/")
    guard let file = fopen("/\(root)/\(path)", "r") else { return nil }
    defer { fclose(file) }
    var text: [UInt8] = []
    while case let byte = fgetc(file), byte != EOF { text.append(UInt8(truncatingIfNeeded: byte)) }
    return String(decoding: text, as: UTF8.self)
}
