import CausewayControl
import CausewayCore
import LinuxSystem
import Testing

@testable import CausewayConfiguration

@Suite struct ConfigurationTests {
    static let iqn = "iqn.2026-01.example:t"

    static func adapter(_ text: String) throws -> AdapterConfiguration {
        var problems: [ConfigurationProblem] = []
        let configuration = AdapterConfiguration(text, file: "f", problems: &problems)
        #expect(problems == [])
        return configuration
    }

    static func problems(_ text: String) -> [String] {
        var problems: [ConfigurationProblem] = []
        _ = AdapterConfiguration(text, file: "f", problems: &problems)
        return problems.map(\.description)
    }

    static func diskProblems(_ text: String) throws -> [String] {
        var problems: [ConfigurationProblem] = []
        let disk = DiskConfiguration(text, name: try DiskName("d"), file: "d.toml", problems: &problems)
        #expect((disk == nil) == problems.contains(where: \.isError))
        return problems.map(\.description)
    }

    static func portal(_ text: String) throws -> CausewayControl.PortalAddress { try .init(parsing: text) }

    @Test func `An empty file configures nothing`() throws {
        let adapter = try Self.adapter("")
        #expect(adapter.initiatorName == nil)
        let settings = adapter.settings(target: try ISCSIName(Self.iqn), portals: [])
        #expect(settings == InheritedSettings())
    }

    @Test func `The nearer place wins, the others shine through`() throws {
        let adapter = try Self.adapter(
            """
            initiator-name = "iqn.2026-01.example:host"
            [disk]
            queue-depth = 1
            policy = "round-robin"
            [discovery."192.0.2.1".disk]
            queue-depth = 2
            [discovery."192.0.2.2:3261".disk]
            queue-depth = 3
            [target."iqn.2026-01.example:t".disk]
            queue-depth = 4
            [target."iqn.2026-01.example:found"]
            discovery = "192.0.2.2:3261"
            """)
        #expect(adapter.initiatorName?.text == "iqn.2026-01.example:host")
        let other = try ISCSIName("iqn.2026-01.example:other")
        let (first, second) = (try Self.portal("192.0.2.1"), try Self.portal("192.0.2.2:3261"))
        func depth(
            _ target: ISCSIName, _ portals: [CausewayControl.PortalAddress],
            _ discovery: CausewayControl.PortalAddress? = nil
        ) -> UInt32? {
            adapter.settings(target: target, portals: portals, discovery: discovery).queueDepth
        }
        #expect(depth(other, [try Self.portal("192.0.2.9")]) == 1)
        #expect(depth(other, [first]) == 2)
        #expect(depth(other, [first], second) == 3)
        #expect(depth(try ISCSIName("iqn.2026-01.example:found"), [first]) == 3)
        #expect(depth(try ISCSIName("IQN.2026-01.example:t"), [first]) == 4)
        #expect(adapter.settings(discoveryAt: second).queueDepth == 3)

        var problems: [ConfigurationProblem] = []
        let disk = try #require(
            DiskConfiguration(
                "target = \"\(Self.iqn)\"\nportals = [\"192.0.2.1\"]\nlun = 0\ndisk.queue-depth = 5",
                name: try DiskName("d"), file: "d.toml", problems: &problems))
        var configuration = Configuration()
        configuration.adapter = adapter
        let settings = configuration.settings(of: disk)
        #expect(settings.queueDepth == 5)
        #expect(settings.disk["policy"] == "round-robin")
        #expect(disk.request(settings).queueDepth == 5)
    }

    @Test(arguments: [
        (
            "iniator-name = 1",
            #"f:1: there is no "iniator-name" in this file; did you mean "initiator-name"?"#
        ),
        (
            "[disk]\nqueue_depth = 5",
            #"f:2: there is no "queue_depth" in [disk]; did you mean "queue-depth"?"#
        ),
        ("\n[disk]\n\nqueue-depth = 0", #"f:4: "queue-depth": 0 is not from 1 to 1024; it may be 1 to 1024"#),
        (
            "[disk]\nqueue-depth = \"5\"",
            #"f:2: "queue-depth": "5" is not a number; it may be 1 to 1024"#
        ),
        ("[disk]\nqueue-depth = {}", #"f:2: "queue-depth" cannot be a table; it may be 1 to 1024"#),
        ("disk = 1", #"f:1: "disk" is a table: write [disk]"#),
        ("[target.x]\n", #"f:1: "x" is no iSCSI name: it must begin with iqn., eui. or naa."#),
        ("target = 1", #"f:1: "target" is a table: write [target."…"]"#),
        (
            "[discovery.192.0]", #"f:1: there is no "0" in [discovery."…"]; there are disk"#
        ),
        ("initiator-name = true", #"f:1: "initiator-name" is a text between quotes, not true or false"#),
        (
            "initiator-name = \"host\"",
            #"f:1: "host" is no iSCSI name: it must begin with iqn., eui. or naa."#
        ),
        ("a = [1", "f:1: a \",\" or \"]\" is missing in the list"),
        (
            "[target.\"iqn.2026-01.example:t\"]\ndiscovery = \"192.0.2.1\"",
            #"f: [target."iqn.2026-01.example:t"]: there is no [discovery."192.0.2.1:3260"]"#
        ),
        (
            "[target.\"iqn.a\"]\n[target.\"IQN.A\"]",
            #"f:2: [target."IQN.A"] is in the file already"#
        ),
    ])
    func `A mistake is named with its line and its remedy`(text: String, expected: String) {
        #expect(Self.problems(text) == [expected])
    }

    @Test func `All mistakes are found at once`() {
        let problems = Self.problems("a = 1\nb = 2\n[disk]\npolicy = 3\n[target.\"x\"]\n")
        #expect(problems.count == 4)
    }

    @Test func `Whatever causeway set takes may stand in a file`() throws {
        for row in DiskSetting.all { #expect(Setting.find(.disk, row.key)?.allowed == row.allowed) }
        let problems = Self.problems("[disk]\npolicy = \"fastest\"")
        #expect(problems.count == 1)
        #expect(problems[0].hasPrefix("f:2: \"policy\": "))
        #expect(problems[0].hasSuffix("it may be \(DiskSetting.all[0].allowed)"))
    }

    @Test func `A disk's file is written as it is read`() throws {
        var request = AttachRequest(
            name: try DiskName("d"), target: Self.iqn,
            portals: [try Self.portal("192.0.2.1"), try Self.portal("[2001:db8::1]:860")],
            interfaces: ["eth1", "eth\"2\u{7f}"], lun: 7, socket: "/run/a \\b\u{1}é.sock", readOnly: true)
        request.settings = ["policy": "round-robin,ios=4"]
        request.queueDepth = 12
        let disk = DiskConfiguration(request, target: try ISCSIName(Self.iqn))
        var problems: [ConfigurationProblem] = []
        request.interfaces = ["eth1", "eth2"]
        let plain = DiskConfiguration(request, target: try ISCSIName(Self.iqn))
        let back = try #require(
            DiskConfiguration(plain.text, name: disk.name, file: "d.toml", problems: &problems))
        #expect(problems == [])
        var configuration = Configuration()
        configuration.disks = [back]
        #expect(back.request(configuration.settings(of: back)) == request)
        // An odd name of an interface is quoted too, and refused when it is read.
        #expect(DiskConfiguration(disk.text, name: disk.name, file: "d.toml", problems: &problems) == nil)
    }

    @Test(arguments: [
        (
            "",
            ["d.toml: \"target\" is missing", "d.toml: \"lun\" is missing", "d.toml: \"portals\" is missing"]
        ),
        (
            "target=\"iqn.a\"\nportals=[\"192.0.2.1\"]\nlun=16384",
            ["d.toml:3: \"lun\" is a number from 0 to 16383"]
        ),
        (
            "target=\"iqn.a\"\nportals=[\"192.0.2.1\"]\nlun=-1",
            ["d.toml:3: \"lun\" is a number from 0 to 16383"]
        ),
        (
            "target=\"iqn.a\"\nportals=[\"192.0.2.1/24\"]\nlun=1",
            ["d.toml:2: \"192.0.2.1/24\" is not the address of a portal"]
        ),
        (
            "target=\"iqn.a\"\nportals=[\"192.0.2.1\",\"192.0.2.1:3260\"]\nlun=1",
            ["d.toml: a portal is given twice"]
        ),
        (
            "target=\"iqn.a\"\nportals=\"192.0.2.1\"\nlun=1",
            ["d.toml:2: \"portals\" is a list of texts: [\"…\", \"…\"]"]
        ),
        (
            "target=\"iqn.a\"\nportals=[\"192.0.2.1\"]\nlun=1\nreadonly=true",
            ["d.toml:4: there is no \"readonly\" in this file; did you mean \"read-only\"?"]
        ),
        (
            "target=\"iqn.a\"\nportals=[\"192.0.2.1\"]\nlun=1\nread-only=\"no\"",
            ["d.toml:4: \"read-only\" is true or false, not a string"]
        ),
        (
            "target=\"iqn.a\"\nportals=[\"192.0.2.1\"]\nlun=1\nsocket=\"relative\"",
            ["d.toml: \"relative\" cannot be the path of a socket"]
        ),
    ])
    func `A mistake in a disk's file is named`(text: String, expected: [String]) throws {
        #expect(try Self.diskProblems(text) == expected)
    }

    /// As it is installed it says nothing; with every setting taken out of its comment it is right.
    @Test func `The sample is right`() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let sample = try SmallFile.read("/\(root)/man/causeway.toml")
        #expect(Self.problems(sample) == [])
        #expect(try TOMLReader.read(sample).entries.isEmpty)
        let lines = sample.split(separator: "\n", omittingEmptySubsequences: false)
        let all = lines.map { $0.hasPrefix("#") && !$0.hasPrefix("# ") ? $0.dropFirst() : $0 }
        #expect(Self.problems(all.joined(separator: "\n")) == [])
        #expect(all.filter { !$0.hasPrefix("#") && !$0.isEmpty }.count > 8)
    }
}
