import Testing

@testable import CausewayCore
@testable import CausewayDaemon

/// The queues of a disk, seen as one disk.
@Suite struct DiskSnapshotTests {
    private static func path(
        _ interface: String, _ standing: PathStanding, commands: UInt64 = 0, reason: String? = nil
    ) -> PathSnapshot {
        var counters = PathCounters()
        counters.commands = commands
        counters.readBytes = commands * 4096
        return PathSnapshot(
            interface: interface, sourceAddress: "10.0.1.2", portal: "10.0.1.1:3260", standing: standing,
            hasSession: standing == .active, reason: reason, inFlight: 2, depth: 128, held: 1,
            counters: counters, isPreferred: false, headerDigest: .none, dataDigest: .none)
    }

    private static func disk(_ paths: [PathSnapshot], isReady: Bool = true) -> DiskSnapshot {
        var counters = RequestCounters()
        counters.writes = 10
        return DiskSnapshot(
            name: "d", isReady: isReady, isHeld: false, isFailing: false, isDetaching: false,
            sizeBytes: 1 << 20, requests: 3, pending: 1, counters: counters, notes: ["a note"],
            isLost: false, settings: DiskSettings(), paths: paths)
    }

    @Test func `One queue is the disk`() throws {
        let disk = try #require(DiskSnapshot(combining: [Self.disk([Self.path("eth1", .suspect)])]))
        #expect(disk.paths.map(\.standing) == [.suspect])
        #expect(disk.paths[0].reason == nil)
        #expect(DiskSnapshot(combining: []) == nil)
    }

    @Test func `Every path is there once, as its worst session is`() throws {
        let first = Self.disk([
            Self.path("eth1", .active, commands: 7), Self.path("eth2", .active, commands: 5),
        ])
        let second = Self.disk([
            Self.path("eth1", .active, commands: 1), Self.path("eth2", .down, reason: "refused"),
        ])
        let disk = try #require(DiskSnapshot(combining: [first, second]))
        #expect(disk.paths.map(\.interface) == ["eth1", "eth2"])
        #expect(disk.paths.map(\.standing) == [.active, .down])
        #expect(disk.paths.map(\.reason) == [nil, "1 of its 2 sessions: refused"])
        #expect(disk.paths.map(\.counters.commands) == [8, 5])
        #expect(disk.paths.map(\.inFlight) == [4, 4])
        #expect(disk.paths.map(\.hasSession) == [true, true])
        #expect(disk.counters.writes == 20)
        #expect(disk.requests == 6)
        #expect(disk.notes == ["a note"])
    }

    @Test func `It is ready when all of its queues are`() throws {
        let disk = DiskSnapshot(combining: [Self.disk([]), Self.disk([], isReady: false)])
        #expect(disk?.isReady == false)
    }
}
