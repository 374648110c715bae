import Testing

@testable import CausewayDaemon

/// The line of `systemctl status`.
@Suite struct StatusLineTests {
    private func line(_ disks: [StatusLine.Disk], count: Int? = nil, waiting: [String] = []) -> String {
        StatusLine(disks: disks, diskCount: count ?? disks.count, waiting: waiting).text
    }

    @Test func disksAndTheirPaths() {
        #expect(line([]) == "no disks")
        #expect(line([.init(name: "data", paths: (2, 2))]) == "1 disk: data 2/2 paths")
        #expect(
            line([.init(name: "data", paths: (1, 3)), .init(name: "mail", paths: nil)])
                == "2 disks: data 1/3 paths, mail not ready")
    }

    @Test func aMistakeInTheConfigurationIsNamed() {
        var line = StatusLine(disks: [], diskCount: 0, waiting: ["data"])
        line.mistake = "/etc/causeway/causeway.toml:3: there is no \"polcy\" in [disk]"
        #expect(
            line.text
                == "no disks; waiting for data; "
                + "/etc/causeway/causeway.toml:3: there is no \"polcy\" in [disk]"
        )
    }

    @Test func manyAreCutShort() {
        #expect(line([.init(name: "a", paths: (1, 1))], count: 64) == "64 disks: a 1/1 paths, and 63 more")
        let names = (10..<20).map { "disk\($0)" }
        #expect(
            line([], waiting: names.reversed())
                == "no disks; waiting for disk10, disk11, disk12, disk13, disk14, disk15, disk16, "
                + "disk17, and 2 more")
    }
}
