import Testing

@testable import CausewayCore

/// `PathLoad` against links of known speed, in a clock of its own.
@Suite struct PathLoadTests {
    /// A link that sends one command after the other.
    struct Link {
        var nanosecondsPerByte: Double
        var latency: UInt64
        var load = PathLoad()
        var busyUntil: UInt64 = 0
        var bytes: UInt64 = 0

        init(_ nanosecondsPerByte: Double, latency: UInt64 = 100_000) {
            self.nanosecondsPerByte = nanosecondsPerByte
            self.latency = latency
            load.begin(underWay: 0)
        }
    }

    struct Command {
        var link: Int
        var issued: UInt64
        var due: UInt64
        var mark: UInt64
    }

    struct Clients {
        var links: [Link]
        var now: UInt64 = 1_000_000_000
        var commands: [Command] = []

        mutating func issue(_ bytes: Int32) {
            let expected = links.map { $0.load.expected(bytes: bytes, now: now) }
            let link = expected.indices.min { expected[$0] < expected[$1] } ?? 0
            let sent =
                max(now, links[link].busyUntil) + UInt64(Double(bytes) * links[link].nanosecondsPerByte)
            links[link].busyUntil = sent
            let mark = links[link].load.issued(bytes: bytes)
            commands.append(Command(link: link, issued: now, due: sent + links[link].latency, mark: mark))
        }

        /// So many commands are always under way, for so long. Returns the bytes by link.
        mutating func run(depth: Int, bytes: Int32, for nanoseconds: UInt64) -> [Double] {
            let end = now + nanoseconds
            for index in links.indices { links[index].bytes = 0 }
            while now < end {
                while commands.count < depth { issue(bytes) }
                let next = commands.indices.min { commands[$0].due < commands[$1].due } ?? 0
                let command = commands.remove(at: next)
                now = max(now, command.due)
                links[command.link].bytes += UInt64(bytes)
                links[command.link].load.answered(
                    bytes: bytes, mark: command.mark, latency: now - command.issued, now: now)
            }
            return links.map { Double($0.bytes) }
        }
    }

    /// What links of these speeds move at most in so many nanoseconds.
    private func capacity(_ links: [Link], _ nanoseconds: UInt64) -> Double {
        links.reduce(0) { $0 + Double(nanoseconds) / $1.nanosecondsPerByte }
    }

    @Test(arguments: [8, 16, 64], [4096, 131_072, 262_144] as [Int32])
    func unequalLinksAreBothFull(_ depth: Int, _ bytes: Int32) {
        // 240 and 80 Mbit/s.
        var clients = Clients(links: [Link(33), Link(100)])
        _ = clients.run(depth: depth, bytes: bytes, for: 5_000_000_000)
        let moved = clients.run(depth: depth, bytes: bytes, for: 10_000_000_000)
        // A few small commands cannot fill the links' latency.
        let part = moved.reduce(0, +) / capacity(clients.links, 10_000_000_000)
        #expect(part > (depth == 8 && bytes == 4096 ? 0.7 : 0.95), "depth \(depth), \(bytes) bytes: \(part)")
        #expect(moved[0] > 2 * moved[1], "\(moved)")
    }

    @Test(arguments: [2, 8, 32])
    func equalLinksShareAlike(_ depth: Int) {
        var clients = Clients(links: [Link(10), Link(10)])
        _ = clients.run(depth: depth, bytes: 65536, for: 2_000_000_000)
        let moved = clients.run(depth: depth, bytes: 65536, for: 2_000_000_000)
        #expect(moved[0] / moved[1] > 0.8 && moved[0] / moved[1] < 1.25, "\(moved)")
    }

    @Test func aDistantPathTakesWhatIsLeftOver() {
        var clients = Clients(links: [Link(10), Link(10, latency: 20_000_000)])
        // One command at a time goes where it is answered first.
        _ = clients.run(depth: 1, bytes: 4096, for: 1_000_000_000)
        let one = clients.run(depth: 1, bytes: 4096, for: 1_000_000_000)
        #expect(one[0] > 50 * one[1], "\(one)")
        // Many fill both: 64 MiB/s of latency.
        _ = clients.run(depth: 64, bytes: 131_072, for: 2_000_000_000)
        let many = clients.run(depth: 64, bytes: 131_072, for: 2_000_000_000)
        #expect(many.reduce(0, +) > 0.9 * capacity(clients.links, 2_000_000_000), "\(many)")
    }

    @Test func aLinkThatChangesItsSpeedIsFollowed() {
        var clients = Clients(links: [Link(33), Link(33)])
        for speeds in [[33, 33], [330, 33], [33, 33], [33, 100], [10, 10]] as [[Double]] {
            for index in 0..<2 { clients.links[index].nanosecondsPerByte = speeds[index] }
            _ = clients.run(depth: 16, bytes: 131_072, for: 5_000_000_000)
            let moved = clients.run(depth: 16, bytes: 131_072, for: 5_000_000_000)
            #expect(
                moved.reduce(0, +) > 0.95 * capacity(clients.links, 5_000_000_000), "\(speeds): \(moved)")
        }
    }

    @Test func aPathThatWasOnceSlowIsTriedAgain() {
        var clients = Clients(links: [Link(10), Link(10)])
        _ = clients.run(depth: 4, bytes: 65536, for: 1_000_000_000)
        // It stands still for five seconds, and runs well afterwards.
        clients.links[0].busyUntil = clients.now + 5_000_000_000
        _ = clients.run(depth: 4, bytes: 65536, for: 30_000_000_000)
        let moved = clients.run(depth: 4, bytes: 65536, for: 2_000_000_000)
        #expect(moved[0] > moved[1] / 3, "\(moved)")
    }

    @Test func nothingOverflows() {
        var load = PathLoad()
        load.begin(underWay: 0)
        for _ in 0..<100 {
            let mark = load.issued(bytes: 0)
            load.answered(bytes: 0, mark: mark, latency: 1 << 45, now: 1 << 60)
        }
        for _ in 0..<4096 { _ = load.issued(bytes: 1 << 20) }
        let expected = load.expected(bytes: 1 << 20, now: 1 << 60)
        #expect(expected > 1 << 45 && expected < 1 << 63)
        load.empty()
        #expect(load.isMeasured && load.underWay == 0)
        load.end()
        #expect(!load.isMeasured)
    }

    @Test func whatIsLongIdleIsTried() {
        var load = PathLoad()
        load.begin(underWay: 0)
        let mark = load.issued(bytes: 4096)
        load.answered(bytes: 4096, mark: mark, latency: 1_000_000_000, now: 2_000_000_000)
        let soon = load.expected(bytes: 4096, now: 2_000_000_001)
        #expect(soon >= 1_000_000_000)
        #expect(load.expected(bytes: 4096, now: 20_000_000_000) < soon / 1000)
        // Never while something is out.
        _ = load.issued(bytes: 4096)
        #expect(load.expected(bytes: 4096, now: 20_000_000_000) > soon)
    }
}
