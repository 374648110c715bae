import Testing

@testable import CausewayCore

@Suite struct DiscoverySessionTests {
    /// A discovery up to the Text Request.
    private struct Target {
        var session = DiscoverySession(LoginTarget.options { $0.targetName = nil })
        var header = BasicHeaderSegment()
        var data: [UInt8] = []
        var statSN: UInt32 = 10

        mutating func take(_ step: DiscoveryStep) -> DiscoveryStep {
            if case .send(let header, let data) = step {
                self.header = header
                self.data = data
            }
            return step
        }

        mutating func answer(_ header: BasicHeaderSegment, _ data: [UInt8] = []) -> DiscoveryStep {
            var header = header
            header.dataSegmentLength = data.count
            let step = data.withUnsafeBytes { session.received(header, data: $0) }
            return take(step)
        }

        mutating func login(_ text: String = "", status: UInt16 = 0) -> DiscoveryStep {
            var response = BasicHeaderSegment(.loginResponse, byte1: header[byte: 1])
            response.lun = header.lun
            response.initiatorTaskTag = header.initiatorTaskTag
            response[6] = statSN
            response[7] = 1
            response[8] = 1
            response[9] = UInt32(status) << 16
            statSN += 1
            return answer(response, Array(text.utf8))
        }

        mutating func asked() -> DiscoveryStep {
            _ = take(session.start())
            _ = login("AuthMethod=None\0")
            return login()
        }

        mutating func text(_ text: String, final: Bool, continued: Bool = false, tag: UInt32 = 0x77)
            -> DiscoveryStep
        {
            var response = BasicHeaderSegment(
                .textResponse, byte1: (final ? 0x80 : 0) | (continued ? 0x40 : 0))
            response.initiatorTaskTag = header.initiatorTaskTag
            response.lun = 5
            response[5] = final ? reservedTag : tag
            response[6] = statSN
            statSN += 1
            return answer(response, Array(text.utf8))
        }
    }

    private func error(_ step: DiscoveryStep) -> DiscoveryError? {
        if case .failed(let error) = step { error } else { nil }
    }

    private func targets(_ step: DiscoveryStep) -> [DiscoveredTarget]? {
        if case .completed(let response) = step { response.targets } else { nil }
    }

    @Test func wholeSession() throws {
        var target = Target()
        _ = target.take(target.session.start())
        #expect(
            String(decoding: target.data, as: UTF8.self).contains("SessionType=Discovery\0AuthMethod=None\0"))
        _ = target.login("AuthMethod=None\0TargetPortalGroupTag=1\0")
        let offer = String(decoding: target.data, as: UTF8.self)
        #expect(!offer.contains("MaxBurstLength") && offer.contains("MaxRecvDataSegmentLength=262144"))
        _ = target.login()
        #expect(target.header.opcode == .textRequest && target.header.isImmediate && target.header.isFinal)
        #expect(target.data == Array("SendTargets=All\0".utf8))
        #expect(TextRequest(target.header).expStatSN == StatSN(12))
        _ = target.text("TargetName=iqn.a:1\0TargetAddress=10.0.1.1:3260,1\0", final: true)
        #expect(target.header.opcode == .logoutRequest)
        #expect(LogoutRequest(target.header).reason == .closeSession)
        #expect(LogoutRequest(target.header).expStatSN == StatSN(13))
        var bye = BasicHeaderSegment(.logoutResponse)
        bye.initiatorTaskTag = target.header.initiatorTaskTag
        bye[6] = 13
        let list = try #require(targets(target.answer(bye)))
        #expect(
            list.map(\.name.text) == ["iqn.a:1"] && list[0].portals.map(\.description) == ["10.0.1.1:3260,1"])
        #expect(error(target.answer(bye)) != nil, "nothing follows")
    }

    /// The list cut at every byte, with C and without.
    @Test func continuedList() throws {
        let list = "TargetName=iqn.a:1\0TargetAddress=[::1],2\0TargetName=iqn.b\0"
        for isContinued in [false, true] {
            for cut in 0...list.utf8.count {
                var target = Target()
                _ = target.asked()
                let first = String(list.prefix(cut))
                _ = target.text(first, final: false, continued: isContinued)
                let more = TextRequest(target.header)
                #expect(more.header.opcode == .textRequest && target.data.isEmpty && more.isFinal)
                #expect(more.targetTransferTag == 0x77 && more.lun == 5 && more.header.isImmediate)
                _ = target.text(String(list.dropFirst(cut)), final: true)
                let found = try #require(targets(target.session.connectionClosed()))
                #expect(found.count == 2 && found[0].portals.map(\.description) == ["[::1]:3260,2"])
            }
        }
    }

    @Test func pingInBetween() {
        var target = Target()
        _ = target.asked()
        var ping = BasicHeaderSegment(.nopIn)
        ping.initiatorTaskTag = reservedTag
        ping[5] = 0x99
        guard case .send(let answer, _) = target.answer(ping) else {
            Issue.record("a ping is answered")
            return
        }
        #expect(answer.opcode == .nopOut && NOPOut(answer).targetTransferTag == 0x99)
        ping[5] = reservedTag
        guard case .wait = target.answer(ping) else {
            Issue.record("a change of the window is not answered")
            return
        }
    }

    @Test func failures() {
        func after(_ act: (inout Target) -> DiscoveryStep) -> DiscoveryError? {
            var target = Target()
            _ = target.asked()
            return error(act(&target))
        }
        #expect(after { $0.session.connectionClosed() } == .connectionClosed)
        #expect(
            after { $0.answer(BasicHeaderSegment(.reject, byte2: 0x05)) } == .rejected(.commandNotSupported))
        var message = BasicHeaderSegment(.asynchronousMessage)
        message[byte: 36] = 3
        #expect(after { $0.answer(message) } == .asynchronousMessage(.sessionDrop))
        #expect(
            after { $0.text("", final: true, continued: true) }?.description.contains("both F and C") == true)
        #expect(after { $0.text("", final: false, tag: reservedTag) }?.description.contains("Tag") == true)
        #expect(after { $0.text("TargetAddress=h,1\0", final: true) } == .list(.addressBeforeName))
        #expect(
            after {
                $0.statSN += 1
                return $0.text("", final: true)
            }?.description == "the target breaks the iSCSI protocol: its StatSN is 13 instead of 12")
        #expect(
            after {
                $0.header.initiatorTaskTag = 9
                return $0.text("", final: true)
            }?.description.contains("Initiator Task Tag 9") == true)
        #expect(after { $0.login() }?.description.contains("opcode 0x23") == true)
        #expect(
            after { target in
                var step = target.text(String(repeating: "\0", count: 262_144), final: false)
                for _ in 0..<16 where error(step) == nil {
                    step = target.text(String(repeating: "\0", count: 262_144), final: false)
                }
                return step
            } == .tooLong(limit: DiscoverySession.maximumTextLength))
        var target = Target()
        _ = target.take(target.session.start())
        #expect(error(target.login(status: 0x0302))?.isRetryable == true)
    }

    @Test func redirected() {
        var target = Target()
        _ = target.take(target.session.start())
        guard case .redirected(let address, false) = target.login("TargetAddress=10.0.0.9\0", status: 0x0101)
        else {
            Issue.record("not redirected")
            return
        }
        #expect(address.description == "10.0.0.9:3260")
    }
}
