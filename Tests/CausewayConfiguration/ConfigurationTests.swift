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
            initiator-alias = "rack 4, host 2"
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
        #expect(adapter.initiatorAlias == "rack 4, host 2")
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
            "[discovery.192.0]", #"f:1: there is no "0" in [discovery."…"]; there are chap, parameters, disk"#
        ),
        ("initiator-alias = \"\"", "f:1: initiator-alias is a text of 1 to 255 bytes"),
        ("initiator-name = true", #"f:1: "initiator-name" is a text between quotes, not true or false"#),
        (
            "initiator-name = \"host\"",
            #"f:1: "host" is no iSCSI name: it must begin with iqn., eui. or naa."#
        ),
        ("a = [1", "f:1: a \",\" or \"]\" is missing in the list"),
        (
            "[target.\"iqn.2026-01.example:t\"]\ndiscovery = \"192.0.2.1\"",
            #"f:2: [target."iqn.2026-01.example:t"]: there is no [discovery."192.0.2.1:3260"]"#
        ),
        (
            "[target.\"iqn.a\"]\n[target.\"IQN.A\"]",
            #"f:2: [target."IQN.A"] is in the file already"#
        ),
    ])
    func `A mistake is named with its line and its remedy`(text: String, expected: String) {
        #expect(Self.problems(text) == [expected])
    }

    @Test func `Parameters bear the names of the standard and stay in range`() throws {
        let adapter = try Self.adapter(
            """
            [parameters]
            InitialR2T = true
            ImmediateData = "No"
            MaxBurstLength = 65536
            [target."iqn.2026-01.example:t".parameters]
            MaxBurstLength = 16384
            """)
        let wanted = adapter.settings(target: try ISCSIName(Self.iqn)).parameters
        #expect(wanted.initialR2T && !wanted.immediateData && wanted.maxBurstLength == 16384)
        #expect(adapter.settings(target: nil).parameters.maxBurstLength == 65536)
        for row in SessionParameter.all where row.values != .digest {
            guard case .number(let range) = row.values else { continue }
            #expect(Self.problems("[parameters]\n\(row.key.name) = \(range.lowerBound)") == [])
            #expect(Self.problems("[parameters]\n\(row.key.name) = \(range.upperBound)") == [])
            #expect(Self.problems("[parameters]\n\(row.key.name) = \(range.upperBound + 1)").count == 1)
            #expect(Self.problems("[parameters]\n\(row.key.name) = \(range.lowerBound - 1)").count == 1)
            #expect(Self.problems("[parameters]\n\(row.key.name) = \"1\"").count == 1)
        }
        #expect(
            Self.problems("[parameters]\nmaxburstlength = 1") == [
                "f:2: there is no \"maxburstlength\" in [parameters]; did you mean \"MaxBurstLength\"?"
            ])
        #expect(
            Self.problems("[parameters]\nDataPDUInOrder = false") == [
                "f:2: \"DataPDUInOrder\": false is not possible; it may be Yes"
            ])
    }

    @Test func `CHAP is inherited key by key`() throws {
        let adapter = try Self.adapter(
            """
            [chap]
            user = "host1"
            secret-file = "/etc/causeway/a.secret"
            algorithms = ["SHA-256", "MD5"]
            [discovery."192.0.2.1".chap]
            secret-credential = "array"
            [target."iqn.2026-01.example:t".chap]
            mutual-user = "array"
            mutual-secret-file = "/etc/causeway/b.secret"
            """)
        let plain = adapter.settings(target: try ISCSIName("iqn.2026-01.example:other")).chap
        #expect(plain.effectiveLevel == .required)
        #expect(plain.effectiveMutualLevel == .prohibited)
        #expect(plain.secret == .file("/etc/causeway/a.secret"))
        #expect(plain.algorithms == [.sha256, .md5])
        let both = adapter.settings(target: try ISCSIName(Self.iqn), portals: [try Self.portal("192.0.2.1")])
            .chap
        #expect(both.user == "host1")
        #expect(both.secret == .credential("array"))
        #expect(both.effectiveMutualLevel == .required)
        #expect(both.problem == nil)
        // What a command says goes before all of it, and is required.
        let request = CHAPRequest(user: "other", secretFile: "/x", mutualSecretFile: "/y")
        let asked = adapter.settings(
            discoveryAt: try Self.portal("192.0.2.9"), request: SettingLayer(request)
        ).chap
        #expect(asked.user == "other" && asked.secret == .file("/x") && asked.mutualSecret == .file("/y"))
        #expect(asked.level == .required && asked.mutualLevel == .required)
    }

    @Test(arguments: [
        ("level = \"required\"", "f:2: [chap] level is required, and user is missing"),
        ("level = \"preferred\"\nuser = \"u\"", "f:2: [chap] level is preferred, and secret-file is missing"),
        (
            "mutual-level = \"required\"",
            "f:2: [chap] mutual-level is required, and mutual-secret-file is missing"
        ),
        (
            "mutual-secret-file = \"/b\"",
            "f:2: [chap] mutual-level is required, so level must be required too: the target proves who it "
                + "is only after this side has"
        ),
        (
            "user = \"u\"\nsecret-file = \"/a\"\nmutual-secret-file = \"/a\"",
            "f:4: [chap] secret and mutual secret are the same: each direction needs its own"
        ),
        (
            "level = \"always\"",
            "f:2: \"level\": \"always\" is none of prohibited, discouraged, preferred, required; "
                + "it may be prohibited, discouraged, preferred, required"
        ),
        (
            "secret = \"hunter2hunter2\"",
            "f:2: there is no \"secret\" in [chap]; did you mean \"secret-file\"?"
        ),
        (
            "secret-file = \"a.secret\"",
            "f:2: \"secret-file\": it is not an absolute path; it may be the absolute path of a file that "
                + "only root can read"
        ),
        (
            "algorithms = [\"MD4\"]",
            "f:2: \"algorithms\": \"MD4\" is none; it may be a list of \"SHA3-256\", \"SHA-256\", \"SHA-1\", "
                + "\"MD5\""
        ),
    ])
    func `CHAP that cannot work is named`(chap: String, expected: String) {
        #expect(Self.problems("[chap]\n\(chap)") == [expected])
    }

    @Test func `Sections that do not fit together are named with their lines`() {
        let text = """
            [target."\(Self.iqn)"]
            discovery = "192.0.2.9"
            [target."\(Self.iqn)".chap]
            user = "u"
            mutual-level = "required"
            """
        #expect(
            Self.problems(text) == [
                "f:2: [target.\"\(Self.iqn)\"]: there is no [discovery.\"192.0.2.9:3260\"]"
            ])
        #expect(
            Self.problems(text.replacing("discovery = \"192.0.2.9\"", with: "")) == [
                "f:5: [target.\"\(Self.iqn)\"] [chap] mutual-level is required, "
                    + "and mutual-secret-file is missing"
            ])
    }

    @Test func `A disk is persisted with the paths of its secrets`() throws {
        let request = AttachRequest(
            name: try DiskName("d"), target: Self.iqn, portals: [try Self.portal("192.0.2.1")], lun: 1,
            chap: CHAPRequest(user: "u", secretFile: "/a", mutualUser: "t", mutualSecretFile: "/b"))
        var problems: [ConfigurationProblem] = []
        let text = DiskConfiguration(request, target: try ISCSIName(Self.iqn)).text
        var configuration = Configuration()
        let back = try #require(
            DiskConfiguration(text, name: request.name, file: "d.toml", problems: &problems))
        configuration.disks = [back]
        let chap = configuration.settings(of: back).chap
        #expect(chap.user == "u" && chap.secret == .file("/a"))
        #expect(chap.mutualUser == "t" && chap.mutualSecret == .file("/b"))
        #expect(chap.level == .required && chap.mutualLevel == .required)
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

    @Test func `A disk whose portals are found keeps its discovery address`() throws {
        var request = AttachRequest(
            name: try DiskName("d"), target: Self.iqn, portals: [], discovery: try Self.portal("192.0.2.9"),
            lun: 7)
        var disk = DiskConfiguration(request, target: try ISCSIName(Self.iqn))
        #expect(disk.findsPortals)
        #expect(disk.text.contains("discovery = \"192.0.2.9:3260\"") && !disk.text.contains("portals"))
        // As it is on record once they are found.
        disk.portals = [try Self.portal("192.0.2.1")]
        request.portals = disk.portals
        #expect(disk.request(InheritedSettings()) == request)
        #expect(!DiskConfiguration(request, target: disk.target).findsPortals)
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

    @Test func `A disk may leave its portals to discovery`() throws {
        var problems: [ConfigurationProblem] = []
        let text = "target = \"\(Self.iqn)\"\ndiscovery = \"192.0.2.1\"\nlun = 1\n"
        let disk = try #require(
            DiskConfiguration(text, name: try DiskName("d"), file: "d.toml", problems: &problems))
        #expect(disk.findsPortals && disk.portals.isEmpty && !disk.text.contains("portals"))
        let again = DiskConfiguration(disk.text, name: disk.name, file: "d.toml", problems: &problems)
        #expect(again?.findsPortals == true && again?.discovery == disk.discovery && problems == [])
        // None is not the same as no word of them.
        let none = text + "portals = []\n"
        #expect(DiskConfiguration(none, name: disk.name, file: "d.toml", problems: &problems) == nil)
        #expect(problems.map(\.description) == ["d.toml:4: no portal is given"])
    }

    @Test(arguments: [
        (
            "",
            [
                "d.toml: \"target\" is missing", "d.toml: \"lun\" is missing",
                "d.toml: \"portals\" is missing, or \"discovery\": "
                    + "the address that lists the target's portals",
            ]
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
            ["d.toml:2: a portal is given twice"]
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
            ["d.toml:4: \"relative\" cannot be the path of a socket"]
        ),
        (
            "target=\"iqn.a\"\nportals=[]\nlun=1\nbind=[\"eth1\",\"eth1\"]",
            ["d.toml:2: no portal is given", "d.toml:4: an interface is given twice"]
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
