import CausewayCore
import LinuxSystem
import Testing

@testable import CausewayDaemon

/// A login of the lane that a target sends to a host name, with real sockets.
@Suite struct LaneRedirectionTests {
    private static func attach(
        _ lane: LaneHandle, to portal: SocketAddress
    ) throws {
        let wanted = DiskSpecification(
            name: "disk1", target: try ISCSIName("iqn.2026-01.io.causeway:t"),
            initiatorName: try ISCSIName("iqn.2026-01.io.causeway:i"),
            lun: try #require(LogicalUnitNumber(1)),
            paths: [
                PathSpecification(
                    route: RouteID(rawValue: 0), interface: "default", sourceAddress: "",
                    portal: "\(portal)", isid: InitiatorSessionID(hash: 5))
            ])
        let isTaken = lane.ask { runner in
            runner.addRoute(RouteID(rawValue: 0), Route(to: portal))
            return (try? runner.lane.attach(wanted, now: runner.time)) != nil
        }
        #expect(isTaken == true)
    }

    @Test func toANameThatIsKnown() throws {
        let arrived = Promise<[String]>()
        let elsewhere = try ScriptedTarget { peer in
            var peer = peer
            arrived.fulfil(try peer.logIn())
            try peer.stayMute()
        }
        defer { elsewhere.stop() }
        let port = elsewhere.address.port
        let target = try ScriptedTarget { peer in
            var peer = peer
            try peer.refuseLogin(0x0101, "TargetAddress=localhost:\(port),1\0")
        }
        defer { target.stop() }
        let lane = try LaneHandle(number: 0, settings: LaneSettings()) { _ in }
        defer { lane.stop() }
        try Self.attach(lane, to: target.address)
        let lines = try #require(arrived.wait(milliseconds: 20_000))
        #expect(lines.contains("TargetName=iqn.2026-01.io.causeway:t"))
    }

    @Test func toANameThatNobodyKnows() throws {
        let target = try ScriptedTarget { peer in
            var peer = peer
            try peer.refuseLogin(0x0101, "TargetAddress=nowhere.invalid:3260,1\0")
        }
        defer { target.stop() }
        let refused = Promise<String>()
        let lane = try LaneHandle(number: 0, settings: LaneSettings()) { notice in
            if case .notReady(_, let problems) = notice {
                refused.fulfil(problems.map(\.text).joined(separator: "; "))
            }
        }
        defer { lane.stop() }
        try Self.attach(lane, to: target.address)
        // The lane goes on while the name is looked up.
        #expect(lane.ask { _ in 7 } == 7)
        let words = try #require(refused.wait(milliseconds: 40_000))
        // A name server that is not there takes longer than a connection may.
        #expect(
            words.contains("the target redirects to nowhere.invalid:3260: ")
                || words.contains("no answer to the connection attempt"))
    }
}
