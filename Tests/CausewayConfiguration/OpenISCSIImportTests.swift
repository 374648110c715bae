import CausewayControl
import CausewayCore
import Glibc
import LinuxSystem
import Testing

@testable import CausewayConfiguration

@Suite struct OpenISCSIImportTests {
    /// `/etc/iscsi` of a test, with a place for what is made of it.
    final class Folder {
        let path: String
        private var made: [String] = []
        init() throws {
            var template = Array("/tmp/causeway-import.XXXXXX".utf8CString)
            path = String(cString: try #require(mkdtemp(&template)))
        }
        deinit { Self.clear(path) }

        private static func clear(_ path: String) {
            for name in (try? SmallFile.list(path)) ?? [] { clear("\(path)/\(name)") }
            remove(path)
        }

        func put(_ text: String, _ name: String) throws {
            let file = "\(path)/iscsi/\(name)"
            try SmallFile.makeFolder(String(file[..<(try #require(file.lastIndex(of: "/")))]))
            try SmallFile.replace(file, with: text)
        }

        func load() -> OpenISCSIImport {
            OpenISCSIImport(
                OpenISCSIFiles(
                    nodes: "\(path)/iscsi/nodes", interfaceOfAddress: { ["00:11:22:33:44:55": "eth7"][$0] }),
                secrets: "\(path)/causeway/secrets")
        }

        /// What is wrong, with the folder left out.
        func problems(_ found: OpenISCSIImport) -> [String] {
            found.problems.map {
                $0.description.split(separator: "\(path)/iscsi/", omittingEmptySubsequences: false).joined()
            }
        }
    }

    static let array = "iqn.2026-01.example:array.one"
    static let secret = "a secret of 24 bytes, OK"
    static let mutual = "the array's own secret"

    static func record(_ target: String, _ address: String, _ more: String...) -> String {
        (["# BEGIN RECORD 2.1.8", "node.name = \(target)", "node.tpgt = 1"]
            + ["node.conn[0].address = \(address)", "node.conn[0].port = 3260", "node.startup = automatic"]
            + ["node.session.auth.username_in = <empty>"] + more + ["# END RECORD", ""])
            .joined(separator: "\n")
    }

    static func bound(_ name: String) -> String {
        "iface.iscsi_ifacename = \(name)\niface.transport_name = tcp"
    }

    @Test func `Two portals over two interfaces with CHAP both ways`() throws {
        let folder = try Folder()
        try folder.put("iface.net_ifacename = eth1\niface.transport_name = tcp\n", "ifaces/left")
        try folder.put("# a comment\niface.hwaddress = 00:11:22:33:44:55\n", "ifaces/right")
        try folder.put("InitiatorName=iqn.2026-01.example:host1\n", "initiatorname.iscsi")
        let chap = """
            node.session.auth.authmethod = CHAP
            node.session.auth.username = host1
            node.session.auth.password = \(Self.secret)
            node.session.auth.username_in = array
            node.session.auth.password_in = \(Self.mutual)
            node.session.auth.chap_algs = SHA3-256,SHA256
            """
        let tuned = """
            node.conn[0].timeo.noop_out_interval = 10
            node.conn[0].timeo.noop_out_timeout = 5
            node.conn[0].timeo.login_timeout = 20
            node.conn[0].iscsi.HeaderDigest = CRC32C,None
            node.conn[0].iscsi.DataDigest = None
            node.conn[0].iscsi.MaxRecvDataSegmentLength = 131072
            node.session.cmds_max = 64
            node.session.iscsi.InitialR2T = Yes
            node.session.iscsi.MaxBurstLength = 16776192
            node.session.iscsi.DefaultTime2Retain = 0
            """
        for (address, name) in [("192.0.2.1", "left"), ("198.51.100.1", "right")] {
            try folder.put(
                Self.record(Self.array, address, chap, tuned, Self.bound(name)),
                "nodes/\(Self.array)/\(address),3260,1/\(name)")
        }
        let found = folder.load()
        #expect(folder.problems(found) == [])
        let secrets = "\(folder.path)/causeway/secrets/\(Self.array)"
        let command =
            "causeway attach one --target \(Self.array) --portal 192.0.2.1:3260 --portal 198.51.100.1:3260 "
            + "--bind eth1 --bind eth7 --all-luns --persist"
        #expect(found.commands == [command])
        #expect(
            found.text == """
                # Made of the records of open-iscsi in \(folder.path)/iscsi/nodes; \
                causeway.toml(5) tells what it means.

                initiator-name = "iqn.2026-01.example:host1"

                # \(command)
                [target."\(Self.array)"]
                chap.user = "host1"
                chap.secret-file = "\(secrets).secret"
                chap.mutual-user = "array"
                chap.mutual-secret-file = "\(secrets).mutual.secret"
                chap.algorithms = ["SHA3-256", "SHA-256"]
                disk.noop-interval = "10s"
                disk.login-timeout = "20s"
                disk.header-digest = "prefer-crc32c"
                disk.queue-depth = 64
                parameters.MaxRecvDataSegmentLength = 131072
                parameters.InitialR2T = true

                """)
        #expect(found.secretFiles.map(\.path) == ["\(secrets).secret", "\(secrets).mutual.secret"])
        // The daemon takes it as it is, and finds in force what was imported.
        var problems: [ConfigurationProblem] = []
        let read = AdapterConfiguration(found.text, file: "f", problems: &problems)
        #expect(problems == [])
        let settings = read.settings(target: try ISCSIName(Self.array))
        #expect(settings.chap.effectiveMutualLevel == .required)
        #expect(settings.queueDepth == 64 && settings.parameters.initialR2T)
    }

    @Test func `Older layouts: the portal's name is the record, with and without a portal group`() throws {
        let folder = try Folder()
        try folder.put(Self.record(Self.array, "192.0.2.1"), "nodes/\(Self.array)/192.0.2.1,3260")
        try folder.put(
            "node.name = \(Self.array)\nnode.startup = manual\n", "nodes/\(Self.array)/2001:db8::5,3261,1")
        let found = folder.load()
        #expect(found.problems == [])
        #expect(
            found.commands == [
                "causeway attach one --target \(Self.array) --portal 192.0.2.1:3260 "
                    + "--portal '[2001:db8::5]:3261' --all-luns --persist"
            ])
        // Nothing is set, so there is no section, and no name where there is no file of it.
        #expect(!found.text.contains("\n[") && !found.text.contains("initiator-name"))
        #expect(!found.text.contains("node.startup"))
    }

    @Test func `A wrong record is named with file and line, and the others are taken`() throws {
        let folder = try Folder()
        let place = "nodes/\(Self.array)"
        try folder.put(Self.record(Self.array, "192.0.2.1"), "\(place)/192.0.2.1,3260,1/default")
        try folder.put("node.name = \(Self.array)\nnonsense \(Self.secret)\n", "\(place)/192.0.2.2,3260,1/a")
        try folder.put(Self.record("iqn.2026-01.example:other", "192.0.2.3"), "\(place)/192.0.2.3,3260,1/a")
        try folder.put(
            Self.record(Self.array, "192.0.2.4", "iface.transport_name = iser"),
            "\(place)/192.0.2.4,3260,1/a")
        try folder.put(
            Self.record(Self.array, "192.0.2.5", Self.bound("lost")), "\(place)/192.0.2.5,3260,1/lost")
        try folder.put("", "\(place)/192.0.2.6,3260,1/a")
        try folder.put("node.conn[0].port = 99999999\n", "\(place)/192.0.2.7,3260,1/a")
        try folder.put(
            Self.record(Self.array, "192.0.2.8", "iface.hwaddress = 00:00:00:00:00:01"),
            "\(place)/192.0.2.8,3260,1/a")
        try folder.put("x = y\n", "nodes/no-target/192.0.2.1,3260,1")
        let found = folder.load()
        let said = folder.problems(found)
        #expect(said.count == 8)
        #expect(said[0].hasPrefix("\(place)/192.0.2.2,3260,1/a:2: this is not \"key = value\""))
        #expect(said[1].hasPrefix("\(place)/192.0.2.3,3260,1/a:2: node.name is not the target"))
        #expect(said[2].hasPrefix("\(place)/192.0.2.4,3260,1/a:8: its transport is iser, not tcp"))
        #expect(said[3].hasPrefix("\(place)/192.0.2.5,3260,1/lost:8: its interface \"lost\" has no file"))
        #expect(said[4].hasPrefix("\(place)/192.0.2.6,3260,1/a: there is nothing in it"))
        #expect(said[5].hasPrefix("\(place)/192.0.2.7,3260,1/a:1: "))
        #expect(said[6].hasPrefix("\(place)/192.0.2.8,3260,1/a:8: no interface here has the address"))
        #expect(said[7].hasPrefix("nodes/no-target: "))
        #expect(said.allSatisfy { $0.hasSuffix("skipped") && !$0.contains(Self.secret) })
        #expect(!found.problems.contains { !$0.isError })
        #expect(found.commands.count == 1 && found.commands[0].contains("--portal 192.0.2.1:3260 --all-luns"))
    }

    @Test func `Without records there is nothing, and it is said`() throws {
        let folder = try Folder()
        let found = folder.load()
        #expect(found.isEmpty)
        #expect(folder.problems(found).count == 1 && folder.problems(found)[0].hasPrefix("nodes: it cannot"))
    }

    @Test func `What has no counterpart or differs between records is said`() throws {
        let folder = try Folder()
        let place = "nodes/\(Self.array)"
        try folder.put(
            Self.record(
                Self.array, "192.0.2.1", "node.session.timeo.replacement_timeout = 5",
                "node.session.queue_depth = 64", "node.session.iscsi.MaxOutstandingR2T = 99",
                "node.session.cmds_max = lots", "node.conn[0].timeo.noop_out_interval = 0",
                "node.session.iscsi.FirstBurstLength = 8192", "iface.net_ifacename = eth1"),
            "\(place)/192.0.2.1,3260,1/a")
        try folder.put(
            Self.record(Self.array, "192.0.2.2", "node.session.iscsi.FirstBurstLength = 16384"),
            "\(place)/192.0.2.2,3260,1/default")
        let found = folder.load()
        let said = folder.problems(found)
        #expect(said.count == 7)
        #expect(!found.problems.contains { $0.isError })
        for (words, count) in [
            ("1/default: warning: iface.iscsi_ifacename: it is bound to no interface", 1),
            ("1/a:8: warning: node.session.timeo.replacement_timeout: 5 s until dm-multipath", 1),
            ("1/a:9: warning: node.session.queue_depth: a LUN has no queue depth", 1),
            ("1/a:10: warning: node.session.iscsi.MaxOutstandingR2T: 99 is not possible here", 1),
            ("1/a:11: warning: node.session.cmds_max: \"lots\" is not understood", 1),
            ("1/a:12: warning: node.conn[0].timeo.noop_out_interval: 0 is not possible here", 1),
            ("1/default:8: warning: node.session.iscsi.FirstBurstLength: it is another one in", 1),
        ] {
            #expect(said.count { $0.contains(words) } == count, "\(words): \(said)")
        }
        #expect(found.text.contains("]\nparameters.FirstBurstLength = 8192\n"))
    }

    @Test(
        arguments: [
            ("5", "5s"), ("0", "1s"), ("-1", "forever"), ("120", nil), ("140", nil),
        ] as [(String, String?)])
    func `With one path replacement_timeout is how long I/O waits`(seconds: String, text: String?) throws {
        let folder = try Folder()
        try folder.put(
            Self.record(Self.array, "192.0.2.1", "node.session.timeo.replacement_timeout = \(seconds)"),
            "nodes/\(Self.array)/192.0.2.1,3260,1/default")
        let found = folder.load()
        #expect(found.problems == [])
        let line = text.map { "disk.all-paths-down-timeout = \"\($0)\"" }
        #expect(found.text.contains("all-paths-down-timeout") == (text != nil))
        if let line { #expect(found.text.contains(line)) }
    }

    @Test func `Secrets that cannot be used are left out and not shown`() throws {
        let folder = try Folder()
        let method = "node.session.auth.authmethod = CHAP\nnode.session.auth.username = host1"
        let names = ["short", "same", "absent", "off"]
        let more = [
            "\(method)\nnode.session.auth.password = tiny",
            "\(method)\nnode.session.auth.password = \(Self.secret)\n"
                + "node.session.auth.password_in = \(Self.secret)",
            method,
            "node.session.auth.authmethod = None\nnode.session.auth.username = a\n"
                + "node.session.auth.password = \(Self.secret)",
        ]
        for (name, text) in zip(names, more) {
            let target = "iqn.2026-01.example:\(name)"
            try folder.put(Self.record(target, "192.0.2.1", text), "nodes/\(target)/192.0.2.1,3260,1/default")
        }
        let found = folder.load()
        let said = folder.problems(found)
        #expect(said.count == 3)
        #expect(said[0].contains("absent") && said[0].hasSuffix("CHAP is left out"))
        #expect(said[1].contains("same") && said[1].contains("each direction needs its own"))
        #expect(said[2].contains("short") && said[2].contains("has 4 bytes"))
        let paths = found.secretFiles.map(\.path)
        #expect(paths == ["\(folder.path)/causeway/secrets/iqn.2026-01.example:same.secret"])
        for text in said + [found.text, "\(found.targets.map(\.lines))"] {
            #expect(!text.contains("tiny") && !text.contains(Self.secret))
        }
    }

    @Test func `Written once, with the secrets for root alone, and never over anything`() throws {
        let folder = try Folder()
        try folder.put(
            Self.record(
                Self.array, "192.0.2.1", "node.session.auth.authmethod = CHAP",
                "node.session.auth.username = host1", "node.session.auth.password = \(Self.secret)"),
            "nodes/\(Self.array)/192.0.2.1,3260,1/default")
        let adapter = "\(folder.path)/causeway/causeway.toml"
        let secret = "\(folder.path)/causeway/secrets/\(Self.array).secret"
        let found = folder.load()
        // A secret that is there already: not even the configuration is written.
        try SmallFile.makeFolder("\(folder.path)/causeway/secrets", mode: 0o700)
        try SmallFile.create(secret, with: "mine", mode: 0o600)
        #expect(throws: OpenISCSIImportError.taken([secret])) { try found.write(to: adapter) }
        #expect(!SmallFile.exists(adapter))
        #expect(try SmallFile.read(secret) == "mine")
        _ = try SmallFile.remove(secret)
        rmdir("\(folder.path)/causeway/secrets")
        #expect(try found.write(to: adapter) == [secret, adapter])
        #expect(try SmallFile.read(secret) == Self.secret + "\n")
        #expect(try SmallFile.read(adapter) == found.text)
        for (path, mode) in [(secret, 0o600), (adapter, 0o644), ("\(folder.path)/causeway/secrets", 0o700)] {
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(Int(status.st_mode & 0o7777) == mode, "\(path)")
        }
        #expect(throws: OpenISCSIImportError.taken([adapter, secret])) { try found.write(to: adapter) }
    }

    @Test(arguments: [
        ("iqn.2026-01.example:array.One", "one"), ("iqn.2026-01.example:-", "disk"),
        ("iqn.2026-01.example:a-name-that-is-longer-than-any-other", "a-name-that-is-longe"),
        ("eui.02004567A425678D", "02004567a425678d"),
    ])
    func `A disk's name is made of the target's`(target: String, name: String) throws {
        var taken: Set<String> = []
        let parsed = try ISCSIName(target)
        #expect(OpenISCSIImport.diskName(parsed, &taken) == name)
        let second = OpenISCSIImport.diskName(parsed, &taken)
        #expect(second == "\(name)-2" && DiskName.isValid(second + "-lun16383"))
    }
}
