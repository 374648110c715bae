import CausewayControl
import CausewayCore
import LinuxSystem
import Synchronization
import Testing

@testable import CausewayDaemon

/// `discover --luns` against scripted logical units.
@Suite struct LogicalUnitDiscoveryTests {
    static let target = "iqn.2026-01.test:a"

    /// A target that lists itself at its own address and serves the units in normal sessions.
    static func target(
        pieceLength: Int = .max, window: UInt32 = 64, seen: LoginLog? = nil, _ units: ScriptedUnits
    ) throws -> ScriptedTarget {
        try ScriptedTarget { peer in
            var peer = peer
            peer.pieceLength = pieceLength
            // Discovery comes first; the keys of the login tell which session it is.
            let lines = try peer.logIn(window: window)
            seen?.lines.withLock { $0.append(lines) }
            if lines.contains("SessionType=Discovery") {
                let (request, _) = try peer.receive()
                var response = peer.answer(.textResponse, to: request)
                response[5] = reservedTag
                try peer.send(response, data: Array("TargetName=\(Self.target)\0".utf8))
                try peer.logOut()
            } else {
                try units.serve(&peer, window: window)
            }
        }
    }

    final class LoginLog: Sendable {
        let lines = Mutex<[[String]]>([])
    }

    static func discover(
        _ target: ScriptedTarget, interfaces: [String] = [], _ timeouts: DiscoveryTimeouts = .init()
    ) throws -> Discovery {
        try TargetDiscoveryTests.discovery(timeouts).discover(
            DiscoverRequest(
                portals: [TargetDiscoveryTests.portal(target)], interfaces: interfaces, luns: true))
    }

    /// LUN 0 a controller, LUN 1 a disk with everything, LUN 300 (flat space addressing) a disk of few
    /// words.
    static let units = ScriptedUnits { cdb, lun, before in
        let one: UInt64 = 1 << 48
        let many: UInt64 = 0x412c << 48
        // Every unit begins with power on and then a changed LUN list; they are one nexus' first news.
        if before == 0, cdb[0] != 0xa0, cdb[0] != 0x12 { return .sense(key: 6, code: 0x29, qualifier: 0) }
        switch (cdb[0], lun) {
        case (0xa0, 0):
            return before == 0
                ? .sense(key: 6, code: 0x3f, qualifier: 0x0e) : .data(ScriptedUnits.list([0, one, many]))
        case (0x12, 0) where cdb[1] == 0:
            return .data(ScriptedUnits.inquiry(type: 0x0c, vendor: "ACME", product: "Controller"))
        case (0x12, one) where cdb[1] == 0:
            return .data(ScriptedUnits.inquiry(vendor: "ACME", product: "Disk\u{1b}[31m"))
        case (0x12, one) where cdb[2] == 0x83:
            return .data(
                ScriptedUnits.page(
                    0x83, ScriptedUnits.naa([0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])))
        case (0x12, one) where cdb[2] == 0x80:
            // Longer than what is asked for at first.
            return .data(ScriptedUnits.page(0x80, Array(String(repeating: "S", count: 300).utf8)))
        case (0x12, many) where cdb[1] == 0:
            return .data(ScriptedUnits.inquiry(vendor: "ACME", product: "Plain"))
        case (0x9e, one):
            return before == 1 ? .status(0x08) : .data(ScriptedUnits.capacity(blocks: 1 << 21, length: 512))
        case (0x9e, many): return .data(ScriptedUnits.capacity(blocks: 1000, length: 4096))
        default: return .sense(key: 5, code: 0x24, qualifier: 0)
        }
    }

    @Test(arguments: [Int.max, 1, 53])
    func `Every LUN is described`(pieceLength: Int) throws {
        var units = Self.units
        units.dataInLength = 13
        let log = LoginLog()
        let target = try Self.target(pieceLength: pieceLength, window: 1, seen: log, units)
        defer { target.stop() }
        let found = try Self.discover(target, interfaces: ["lo"])
        #expect(found.problems == [])
        #expect(
            found.targets.map(\.luns) == [
                [
                    LUNReport(
                        lun: 0, vendor: "ACME", model: "Controller",
                        error: "not a disk but a storage array controller"),
                    LUNReport(
                        lun: 1, sizeBytes: 1 << 30, blockLength: 512, vendor: "ACME",
                        model: "Disk\\x1B[31m", serial: String(repeating: "S", count: 300),
                        wwid: "naa.600102030405060708090a0b0c0d0e0f"),
                    LUNReport(
                        lun: 300, sizeBytes: 4_096_000, blockLength: 4096, vendor: "ACME", model: "Plain"),
                ]
            ])
        let logins = log.lines.withLock { $0 }
        #expect(logins.count == 2)
        #expect(logins.last?.contains("TargetName=\(Self.target)") == true)
        #expect(logins.last?.contains("SessionType=Normal") == true)
    }

    @Test func `A ping in the middle of a command is answered`() throws {
        let units = ScriptedUnits { _, _, _ in
            .wrong { peer, request in
                try peer.ping()
                var header = peer.answer(.scsiDataIn, to: request, byte1: 0x83, expCmdSN: 2)
                header[11] = request[5] - 8
                try peer.send(header, data: ScriptedUnits.list([]))
            }
        }
        let target = try Self.target(units)
        defer { target.stop() }
        let found = try Self.discover(target)
        #expect(found.targets.map(\.luns) == [[]])
        #expect(found.problems == [])
    }

    @Test func `A LUN that cannot be used says why, and the next is asked`() throws {
        let units = ScriptedUnits { cdb, lun, _ in
            switch (cdb[0], lun >> 48) {
            case (0xa0, _): .data(ScriptedUnits.list([1 << 48, 2 << 48, 3 << 48, 4 << 48]))
            case (0x12, 4): .data([0x7f] + [UInt8](repeating: 0, count: 35))
            case (0x12, _) where cdb[1] == 0: .data(ScriptedUnits.inquiry(vendor: "V", product: "P"))
            case (0x9e, 1): .sense(key: 2, code: 0x3a, qualifier: 0)
            case (0x9e, 2): .data(ScriptedUnits.capacity(blocks: 8, length: 520))
            case (0x9e, 3): .data(ScriptedUnits.capacity(blocks: 8, length: 512))
            default: .sense(key: 5, code: 0x24, qualifier: 0)
            }
        }
        let target = try Self.target(units)
        defer { target.stop() }
        let luns = try Self.discover(target).targets[0].luns
        #expect(luns.map(\.lun) == [1, 2, 3, 4])
        #expect(luns[0].error?.contains("2/3a/00") == true)
        #expect(luns[1].error?.contains("520") == true)
        #expect(luns[2].sizeBytes == 4096)
        #expect(luns[2].error == nil)
        #expect(luns[3].error?.contains("no device") == true)
    }

    struct Fault: Sendable {
        var name: String
        var words: String
        var play: @Sendable (inout ScriptedPeer, BasicHeaderSegment) throws -> Void
    }

    /// What a target may do to REPORT LUNS, and what is then said.
    static let faults: [Fault] = [
        Fault(name: "another task's tag", words: "which was not sent") { peer, request in
            var header = peer.answer(.scsiResponse, to: request)
            header.initiatorTaskTag = 0x1234
            try peer.send(header)
        },
        Fault(name: "data beyond what was asked for", words: "for offset") { peer, request in
            var header = peer.answer(.scsiDataIn, to: request, byte1: 0x81)
            header[10] = request[5]
            try peer.send(header, data: [1, 2, 3, 4])
        },
        Fault(name: "more data than was asked for", words: "for offset") { peer, request in
            try peer.send(
                peer.answer(.scsiDataIn, to: request, byte1: 0x81),
                data: [UInt8](repeating: 0, count: Int(request[5]) + 4))
        },
        Fault(name: "an R2T for a read", words: "opcode") { peer, request in
            try peer.send(peer.answer(.readyToTransfer, to: request))
        },
        Fault(name: "a wrong StatSN", words: "StatSN") { peer, request in
            peer.statSN &+= 5
            try peer.send(peer.answer(.scsiResponse, to: request))
        },
        Fault(name: "target failure", words: "target failure") { peer, request in
            var header = peer.answer(.scsiResponse, to: request)
            header[byte: 2] = 1
            try peer.send(header)
        },
        Fault(name: "a reject", words: "rejected REPORT LUNS: invalid PDU field") { peer, request in
            var header = peer.answer(.reject, to: request)
            header.initiatorTaskTag = reservedTag
            header[byte: 2] = 0x09
            try peer.send(header, data: [UInt8](repeating: 0, count: 48))
        },
        Fault(name: "a request to log out", words: "target requests logout") { peer, request in
            var header = peer.answer(.asynchronousMessage, to: request)
            header.initiatorTaskTag = reservedTag
            header[byte: 36] = 1
            try peer.send(header)
        },
        Fault(name: "a closed connection", words: "closed the connection during REPORT LUNS") { _, _ in
            throw ScriptedPeer.HungUp()
        },
        Fault(name: "silence", words: "no answer to REPORT LUNS in time") { peer, _ in try peer.stayMute() },
        Fault(name: "a list that claims more than it holds", words: "REPORT LUNS") { peer, request in
            var header = peer.answer(.scsiDataIn, to: request, byte1: 0x83, expCmdSN: 2)
            header[11] = request[5] - 8
            try peer.send(header, data: [0xff, 0xff, 0xff, 0xf8, 0, 0, 0, 0])
        },
        Fault(name: "a shut window", words: "no answer") { peer, request in
            // Unit attention, so that the command comes again; MaxCmdSN stays at what was used up.
            var header = peer.answer(.scsiResponse, to: request, expCmdSN: 2, window: 0)
            header[byte: 3] = 0x08
            try peer.send(header)
            try peer.stayMute()
        },
    ]

    @Test(arguments: faults.indices)
    func `A fault ends the session and is told`(index: Int) throws {
        let fault = Self.faults[index]
        let target = try Self.target(window: 1, ScriptedUnits { _, _, _ in .wrong(fault.play) })
        defer { target.stop() }
        var timeouts = DiscoveryTimeouts()
        timeouts.command = 500
        timeouts.logout = 50
        let found = try Self.discover(target, timeouts)
        #expect(found.targets.map(\.name) == [Self.target])
        #expect(found.targets[0].luns == [])
        #expect(found.problems.count == 1)
        let problem = try #require(found.problems.first)
        #expect(problem.hasPrefix("\(Self.target): "), "\(fault.name)")
        #expect(problem.contains(fault.words), "\(fault.name): \(problem)")
    }

    @Test func `A connection that is lost half-way keeps what was learned`() throws {
        let units = ScriptedUnits { cdb, lun, _ in
            switch (cdb[0], lun >> 48) {
            case (0xa0, _): .data(ScriptedUnits.list([1 << 48, 2 << 48, 3 << 48]))
            case (_, 2): .wrong { _, _ in throw ScriptedPeer.HungUp() }
            case (0x12, _) where cdb[1] == 0: .data(ScriptedUnits.inquiry(vendor: "V", product: "P"))
            case (0x9e, _): .data(ScriptedUnits.capacity(blocks: 8, length: 512))
            default: .sense(key: 5, code: 0x24, qualifier: 0)
            }
        }
        let target = try Self.target(units)
        defer { target.stop() }
        let luns = try Self.discover(target).targets[0].luns
        #expect(luns.map(\.sizeBytes) == [4096, nil, nil])
        #expect(luns[1].error == "it closed the connection during INQUIRY")
        #expect(luns[2].error == "not asked: it closed the connection during INQUIRY")
    }

    @Test func `A login that the target refuses is a problem, not an end`() throws {
        let target = try ScriptedTarget { peer in
            var peer = peer
            let (request, data) = try peer.receive()
            guard !String(decoding: data, as: UTF8.self).contains("SessionType=Normal") else {
                var response = peer.answer(.loginResponse, to: request, byte1: 0)
                response[9] = 0x0201 << 16
                return try peer.send(response)
            }
            // The first request of a discovery login was taken; go on from there.
            var response = peer.answer(.loginResponse, to: request, byte1: request[byte: 1])
            (response[2], response[3]) = (request[2], request[3])
            try peer.send(response, data: Array("AuthMethod=None\0".utf8))
            _ = try peer.logIn(tsih: 0)
            let (text, _) = try peer.receive()
            var list = peer.answer(.textResponse, to: text)
            list[5] = reservedTag
            try peer.send(list, data: Array("TargetName=\(Self.target)\0".utf8))
            try peer.logOut()
        }
        defer { target.stop() }
        let found = try Self.discover(target)
        #expect(found.targets.map(\.name) == [Self.target])
        let problem = try #require(found.problems.first)
        #expect(problem.contains("\(Self.target) at 127.0.0.1"))
        #expect(problem.contains("the target wants CHAP and none is configured"))
    }

    @Test func `The other portal of a target is asked where the first cannot be reached`() throws {
        let serving = try Self.target(Self.units)
        defer { serving.stop() }
        let dead = try TargetDiscoveryTests.deadPortal()
        let listing = try ScriptedTarget { peer in
            var peer = peer
            try peer.discover([
                "TargetName=\(Self.target)\0TargetAddress=\(dead),1\0TargetAddress=\(serving.address),1\0"
            ])
        }
        defer { listing.stop() }
        let found = try Self.discover(listing)
        #expect(found.targets[0].portals.count == 2)
        #expect(found.targets[0].luns.map(\.lun) == [0, 1, 300])
        #expect(found.problems == [])
    }
}
