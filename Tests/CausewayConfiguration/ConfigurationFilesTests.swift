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
