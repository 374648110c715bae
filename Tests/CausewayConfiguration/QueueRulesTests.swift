import CausewayControl
import CausewayCore
import Testing

@testable import CausewayConfiguration

/// A disk of several queues never waits longer than the kernel does.
@Suite struct QueueRulesTests {
    private static func settings(_ changes: [String: String] = [:]) throws -> DiskSettings {
        var settings = DiskSettings()
        for (key, text) in changes { try settings.set(key, to: text) }
        return settings
    }

    @Test func `The kernel's time-out is above all waits together`() throws {
        // 140 s, 60 s, 45 s and 30 s.
        #expect(QueueRules.kernelTimeoutSeconds(try Self.settings()) == 275)
        let short = try Self.settings([
            "all-paths-down-timeout": "10", "command-timeout": "1500ms", "recovery-timeout": "5s",
        ])
        #expect(QueueRules.kernelTimeoutSeconds(short) == 47)
    }

    @Test(arguments: [
        ("all-paths-down-timeout", "forever"), ("command-timeout", "never"), ("space", "hold"),
    ])
    func `What waits without end is refused`(key: String, value: String) throws {
        let settings = try Self.settings([key: value])
        try QueueRules.check(settings, queues: 1)
        #expect(throws: ControlError.self) { try QueueRules.check(settings, queues: 2) }
        #expect(QueueRules.endless(settings).map(\.key) == [key])
        #expect(QueueRules.keys.contains(key))
    }

    @Test func `A disk that is attached may not be set to wait longer than its kernel does`() throws {
        let limit = QueueRules.kernelTimeoutSeconds(try Self.settings())
        try QueueRules.check(try Self.settings(), kernelTimeoutSeconds: limit)
        try QueueRules.check(try Self.settings(["command-timeout": "30s"]), kernelTimeoutSeconds: limit)
        // One may take what another gives.
        try QueueRules.check(
            try Self.settings(["command-timeout": "30s", "recovery-timeout": "75s"]),
            kernelTimeoutSeconds: limit)
        #expect(throws: ControlError.self) {
            try QueueRules.check(try Self.settings(["command-timeout": "61s"]), kernelTimeoutSeconds: limit)
        }
        #expect(throws: ControlError.self) {
            try QueueRules.check(
                try Self.settings(["all-paths-down-timeout": "forever"]), kernelTimeoutSeconds: limit)
        }
    }

    private static let plain = """
        target = "iqn.2026-01.example:t"
        portals = ["192.0.2.1"]
        lun = 0

        """

    private static func problems(_ text: String) throws -> (disk: DiskConfiguration?, problems: [String]) {
        var problems: [ConfigurationProblem] = []
        let disk = DiskConfiguration(
            plain + text, name: try DiskName("d"), file: "d.toml", problems: &problems)
        return (disk, problems.map { "\($0.line ?? 0) \($0.reason.prefix(30))" })
    }

    @Test func `A disk's file says how many queues it has`() throws {
        let disk = try #require(try Self.problems("queues = 4\n").disk)
        #expect(disk.queues == 4)
        #expect(disk.request(InheritedSettings()).queues == 4)
        #expect(disk.text.contains("\nqueues = 4\n"))
        let one = try #require(try Self.problems("").disk)
        #expect(one.queues == 1)
        #expect(one.request(InheritedSettings()).queues == nil)
        #expect(!one.text.contains("queues"))
        for wrong in ["0", "17", "\"2\"", "true"] {
            #expect(
                try Self.problems("queues = \(wrong)\n").problems == ["4 \"queues\" is a number from 1 to"])
        }
    }

    @Test func `Settings that several queues exclude are told where they stand`() throws {
        #expect(
            try Self.problems("queues = 2\n[disk]\nspace = \"hold\"\n").problems
                == ["6 space = hold lets requests wai"])
        #expect(try Self.problems("[disk]\nspace = \"hold\"\n").problems == [])
        // What is inherited is told in the disk's file, too.
        var configuration = Configuration()
        var problems: [ConfigurationProblem] = []
        configuration.adapter = AdapterConfiguration(
            "[disk]\nall-paths-down-timeout = \"forever\"\n", file: "causeway.toml", problems: &problems)
        configuration.disks = [try #require(try Self.problems("queues = 2\n").disk)]
        let found = configuration.check(files: ConfigurationFiles(adapter: "/etc/causeway/causeway.toml"))
        #expect(found.map(\.line) == [4])
        #expect(found.first?.reason.hasPrefix("all-paths-down-timeout = forever") == true)
        configuration.disks = [
            try #require(
                try Self.problems("queues = 2\n[disk]\nall-paths-down-timeout = \"1m\"\n").disk)
        ]
        let files = ConfigurationFiles(adapter: "/etc/causeway.toml")
        #expect(configuration.check(files: files).isEmpty)
        configuration.adapter = AdapterConfiguration(
            "lanes = 1\n", file: "causeway.toml", problems: &problems)
        #expect(
            configuration.check(files: files).map(\.reason) == [
                "2 queues need as many lanes, and lanes is 1 in /etc/causeway.toml"
            ])
    }
}
