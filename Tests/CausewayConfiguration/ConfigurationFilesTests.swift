import CausewayControl
import CausewayCore
import Glibc
import LinuxSystem
import Testing

@testable import CausewayConfiguration

@Suite struct ConfigurationFilesTests {
    /// A folder of its own for each test.
    final class Folder {
        let path: String
        init() throws {
            var template = Array("/tmp/causeway-configuration.XXXXXX".utf8CString)
            path = String(cString: try #require(mkdtemp(&template)))
        }
        deinit {
            for folder in ["\(path)/disks", path] {
                for name in (try? SmallFile.list(folder)) ?? [] {
                    _ = try? SmallFile.remove("\(folder)/\(name)")
                }
                rmdir(folder)
            }
        }
        var files: ConfigurationFiles { ConfigurationFiles(adapter: "\(path)/causeway.toml") }
        func put(_ text: String, _ name: String) throws {
            try SmallFile.makeFolder("\(path)/disks")
            try SmallFile.replace("\(path)/\(name)", with: text)
        }
    }

    static let good = "target = \"iqn.2026-01.example:t\"\nportals = [\"192.0.2.1\"]\nlun = 1\n"

    @Test func `Without files nothing is configured`() throws {
        let folder = try Folder()
        let (configuration, problems) = folder.files.load()
        #expect(problems == [])
        #expect(configuration.disks.isEmpty)
    }

    @Test func `Disks come in the order of their names; one bad file takes no other with it`() throws {
        let folder = try Folder()
        try folder.put(Self.good, "disks/b.toml")
        try folder.put(Self.good, "disks/a.toml")
        try folder.put("lun = 1", "disks/c.toml")
        try folder.put("nonsense", "disks/.hidden.toml")
        try folder.put("nonsense", "disks/a.toml~")
        try folder.put("nonsense", "disks/Big.toml")
        try folder.put(Self.good + "discovery = \"192.0.2.7\"\n", "disks/e.toml")
        let (configuration, problems) = folder.files.load()
        #expect(configuration.disks.map(\.name.text) == ["a", "b", "e"])
        #expect(
            problems.filter(\.isError).map { $0.file.split(separator: "/").last } == [
                "c.toml", "c.toml", "e.toml",
            ])
        #expect(problems.filter { !$0.isError }.map { $0.file.split(separator: "/").last } == ["Big.toml"])
    }

    @Test func `What a disk's file has wrong beside the others is told with its line`() throws {
        let folder = try Folder()
        try folder.put("[chap]\nuser = \"u\"\n", "causeway.toml")
        try folder.put(Self.good + "discovery = \"192.0.2.7\"\n", "disks/a.toml")
        try folder.put(Self.good + "[chap]\nlevel = \"required\"\n", "disks/b.toml")
        let files = folder.files
        #expect(
            files.load().problems.map(\.description) == [
                "\(files.disks)/a.toml:4: there is no [discovery.\"192.0.2.7:3260\"] in \(files.adapter)",
                "\(files.disks)/b.toml:5: [chap] level is required, and secret-file is missing",
            ])
    }

    @Test func `Secrets' files that cannot be used are told, with the line that names them`() throws {
        let folder = try Folder()
        let (open, closed) = ("\(folder.path)/open", "\(folder.path)/closed")
        try folder.put("twelve bytes", "open")
        try folder.put("twelve bytes", "closed")
        #expect(chmod(closed, 0o600) == 0)
        let chap = "[chap]\nuser = \"u\"\nsecret-file = "
        try folder.put(chap + "\"\(open)\"\n[target.\"iqn.a\"]\n", "causeway.toml")
        try folder.put(Self.good + chap + "\"\(folder.path)/absent\"\n", "disks/a.toml")
        try folder.put(Self.good + chap + "\"\(closed)\"\n", "disks/b.toml")
        let files = folder.files
        let (configuration, problems) = files.load()
        #expect(problems == [], "the daemon starts, and tries again")
        let found = files.checkSecrets(of: configuration, owner: geteuid())
        #expect(
            found.map { "\($0.file):\($0.line ?? 0)" } == [
                "\(files.adapter):3", "\(files.disks)/a.toml:6",
            ])
        #expect(found.first?.reason.contains("chmod 600 \(open)") == true)
        #expect(found.last?.reason.contains("\(folder.path)/absent") == true)
        #expect(found.allSatisfy { $0.isError })
        #expect(ConfigurationFiles.check(files.adapter, owner: geteuid()) == Array(found.prefix(1)))
        let b = "\(files.disks)/b.toml"
        #expect(ConfigurationFiles.check(b, owner: geteuid()) == [])
        #expect(ConfigurationFiles.check(b, owner: geteuid() + 1).map(\.line) == [6])
    }

    @Test func `A disk is written, read, replaced and removed`() throws {
        let folder = try Folder()
        let name = try DiskName("data1")
        let request = AttachRequest(
            name: name, target: "iqn.2026-01.example:t", portals: [.init(host: "192.0.2.1")], lun: 3)
        var disk = DiskConfiguration(request, target: try ISCSIName(request.target))
        for lun in [3, 4] as [UInt64] {
            disk.lun = lun
            try folder.files.write(disk)
            var problems: [ConfigurationProblem] = []
            #expect(folder.files.disk(name, problems: &problems)?.lun == lun)
            #expect(problems == [])
        }
        var attributes = stat()
        #expect(stat(folder.files.path(of: name), &attributes) == 0)
        #expect(attributes.st_mode & 0o7777 == 0o644)
        #expect(try SmallFile.list(folder.files.disks) == ["data1.toml"])
        #expect(try folder.files.remove(name))
        #expect(try folder.files.remove(name) == false)
    }

    @Test func `A file by itself is taken for what its folder says`() throws {
        let folder = try Folder()
        try folder.put(Self.good, "disks/a.toml")
        try folder.put(Self.good, "causeway.toml")
        #expect(ConfigurationFiles.check("\(folder.path)/disks/a.toml") == [])
        #expect(ConfigurationFiles.check("\(folder.path)/causeway.toml").count == 3)
        #expect(ConfigurationFiles.check("\(folder.path)/absent.toml").map(\.reason) == ["no such file"])
    }
}
