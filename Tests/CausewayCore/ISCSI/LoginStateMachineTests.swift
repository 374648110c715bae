import Testing

@testable import CausewayCore

@Suite struct LoginStateMachineTests {
    // MARK: what is sent

    @Test func firstRequest() {
        var target = LoginTarget()
        #expect(target.start().isSend)
        let request = target.request
        #expect(request.header.opcode == .loginRequest && request.header.isImmediate)
        #expect(request.currentStage == .securityNegotiation && request.isTransit)
        #expect(request.nextStage == .loginOperationalNegotiation)
        #expect(request.isid == InitiatorSessionID(hash: 42) && request.tsih == 0 && request.cid == 0)
        #expect(request.cmdSN == CmdSN(1) && request.dataSegmentLength == target.lastData.count)
        #expect(
            target.pairs == [
                "InitiatorName=iqn.2001-04.com.example:host", "SessionType=Normal",
                "TargetName=iqn.2001-04.com.example:disk", "AuthMethod=None",
            ])
    }

    @Test func operationalOffer() {
        var target = LoginTarget()
        #expect(target.passSecurity().isSend)
        #expect(target.request.currentStage == .loginOperationalNegotiation)
        #expect(target.request.nextStage == .fullFeaturePhase)
        #expect(target.request.expStatSN == StatSN(0x101))
        #expect(
            target.pairs == [
                "HeaderDigest=None", "DataDigest=None", "MaxRecvDataSegmentLength=262144",
                "DefaultTime2Wait=2",
                "DefaultTime2Retain=20", "ErrorRecoveryLevel=0", "InitialR2T=No", "ImmediateData=Yes",
                "MaxBurstLength=1048576", "FirstBurstLength=262144", "MaxOutstandingR2T=16",
                "DataPDUInOrder=Yes",
                "DataSequenceInOrder=Yes", "MaxConnections=1",
            ])
    }

    @Test func wishesAreBroughtIntoRange() {
        var target = LoginTarget(
            LoginTarget.options {
                $0.wanted.maxRecvDataSegmentLength = 1 << 30
                $0.wanted.maxBurstLength = 100_000
                $0.wanted.firstBurstLength = 200_000
                $0.wanted.maxConnections = -3
                $0.wanted.errorRecoveryLevel = 2
                $0.wanted.headerDigest = .preferred
                $0.wanted.dataDigest = .required
            })
        _ = target.passSecurity()
        for pair in [
            "MaxRecvDataSegmentLength=16777215", "MaxBurstLength=100000", "FirstBurstLength=100000",
            "MaxConnections=1", "MaxOutstandingR2T=1", "HeaderDigest=CRC32C,None", "DataDigest=CRC32C",
        ] {
            #expect(target.pairs.contains(pair), "\(pair)")
        }
    }

    // MARK: real targets

    /// tgt: answers what was offered, leaves MaxRecvDataSegmentLength at its default.
    @Test func likeTgt() throws {
        var target = LoginTarget()
        _ = target.passSecurity()
        let step = target.respond(
            [
                "HeaderDigest=None", "DataDigest=None", "DefaultTime2Wait=2", "DefaultTime2Retain=20",
                "ErrorRecoveryLevel=0", "InitialR2T=Yes", "ImmediateData=Yes", "MaxBurstLength=262144",
                "FirstBurstLength=65536", "MaxOutstandingR2T=1", "DataPDUInOrder=Yes",
                "DataSequenceInOrder=Yes",
                "MaxConnections=1", "TargetAlias=tape\u{1b}",
            ], tsih: 7)
        let parameters = try #require(step.parameters)
        var expected = NegotiatedParameters()
        expected.initiatorMaxRecvDataSegmentLength = 262_144
        expected.targetPortalGroupTag = 1
        expected.tsih = 7
        expected.expStatSN = StatSN(0x102)
        expected.expCmdSN = CmdSN(1)
        expected.maxCmdSN = CmdSN(2)
        #expect(parameters == expected)
        #expect(parameters.maxImmediateDataLength == 8192)
        #expect(parameters.authentication == "None")
        #expect(target.machine.targetAlias == "tape\u{1b}")
    }

    /// LIO: keeps T at 0 and proposes keys of its own until all are answered.
    @Test func likeLIO() throws {
        var target = LoginTarget(LoginTarget.options { $0.wanted.headerDigest = .preferred })
        _ = target.passSecurity()
        var step = target.respond(
            [
                "HeaderDigest=CRC32C", "DataDigest=None", "MaxRecvDataSegmentLength=262144",
                "DefaultTime2Wait=2",
                "DefaultTime2Retain=20", "ErrorRecoveryLevel=0", "InitialR2T=No", "ImmediateData=Yes",
                "MaxBurstLength=262144", "FirstBurstLength=65536", "MaxOutstandingR2T=8",
                "DataPDUInOrder=Yes",
                "DataSequenceInOrder=Yes", "MaxConnections=1", "IFMarker=No", "OFMarker=No",
                "IFMarkInt=2048~65535", "OFMarkInt=2048~65535", "TaskReporting=FastAbort,RFC3720",
                "iSCSIProtocolLevel=2", "X-com.example.thing=1", "TargetAlias=LIO Target",
            ], transit: false)
        #expect(step.isSend && target.request.isTransit)
        #expect(
            target.pairs == [
                "IFMarker=Reject", "OFMarker=Reject", "IFMarkInt=Reject", "OFMarkInt=Reject",
                "TaskReporting=RFC3720", "iSCSIProtocolLevel=1", "X-com.example.thing=NotUnderstood",
            ])
        step = target.respond(transit: false)
        #expect(step.isSend && target.lastData.isEmpty && target.request.isTransit)
        step = target.respond(tsih: 3)
        let parameters = try #require(step.parameters)
        #expect(parameters.headerDigest == .crc32c && parameters.dataDigest == .none)
        #expect(parameters.targetMaxRecvDataSegmentLength == 262_144)
        #expect(!parameters.initialR2T && parameters.maxOutstandingR2T == 8)
        #expect(parameters.expStatSN == StatSN(0x104))
    }

    /// Keys that were never offered (a joining connection offers three) are answered by their result
    /// function.
    @Test func everyProposalIsAnswered() throws {
        var session = NegotiatedParameters()
        session.maxBurstLength = 300_000
        session.tsih = 9
        var target = LoginTarget(
            LoginTarget.options {
                $0.tsih = 9
                $0.cid = 4
                $0.session = session
                $0.cmdSN = CmdSN(500)
            })
        _ = target.passSecurity()
        #expect(target.pairs == ["HeaderDigest=None", "DataDigest=None", "MaxRecvDataSegmentLength=262144"])
        #expect(target.request.tsih == 9 && target.request.cid == 4 && target.request.cmdSN == CmdSN(500))
        _ = target.respond(
            [
                "MaxConnections=8", "InitialR2T=No", "ImmediateData=Yes", "MaxBurstLength=1048576",
                "FirstBurstLength=131072", "DefaultTime2Wait=1", "DefaultTime2Retain=60",
                "MaxOutstandingR2T=4",
                "DataPDUInOrder=No", "DataSequenceInOrder=No", "ErrorRecoveryLevel=2",
                "MaxRecvDataSegmentLength=65536",
            ], transit: false)
        #expect(
            target.pairs == [
                "MaxConnections=1", "InitialR2T=Yes", "ImmediateData=Yes", "MaxBurstLength=300000",
                "FirstBurstLength=65536", "DefaultTime2Wait=2", "DefaultTime2Retain=20",
                "MaxOutstandingR2T=1",
                "DataPDUInOrder=Yes", "DataSequenceInOrder=Yes", "ErrorRecoveryLevel=0",
            ])
        let parameters = try #require(target.respond(tsih: 9).parameters)
        #expect(parameters.maxBurstLength == 300_000 && parameters.targetMaxRecvDataSegmentLength == 65536)
        #expect(parameters.tsih == 9)
    }

    /// LIO on a second connection; no session-wide key is sent there.
    @Test func declarationsThatATargetShrugsAt() {
        var target = LoginTarget(
            LoginTarget.options {
                $0.tsih = 9
                $0.session = NegotiatedParameters()
                $0.initiatorAlias = "host"
            })
        _ = target.start()
        #expect(!target.pairs.contains("SessionType=Normal"))
        #expect(
            target.respond(["AuthMethod=None", "SessionType=NotUnderstood", "InitiatorAlias=NotUnderstood"])
                .isSend)
        target = LoginTarget()
        _ = target.start()
        #expect(target.respond(["InitiatorName=NotUnderstood"]).violation != nil)
    }

    @Test func unansweredOffersFallBackToDefaults() throws {
        var target = LoginTarget()
        _ = target.passSecurity()
        let parameters = try #require(target.respond(tsih: 1).parameters)
        #expect(
            parameters.initialR2T && parameters.maxBurstLength == 262_144
                && parameters.firstBurstLength == 65536)
        #expect(parameters.maxOutstandingR2T == 1 && parameters.targetMaxRecvDataSegmentLength == 8192)
    }

    /// RFC 7143 §6.2.2: no answer is needed where the offer alone decides. LIO leaves ImmediateData=No
    /// unanswered, and ends the connection at the first immediate data.
    @Test func offersThatDecideAloneNeedNoAnswer() throws {
        var target = LoginTarget(
            LoginTarget.options {
                $0.wanted.immediateData = false
                $0.wanted.initialR2T = true
            })
        _ = target.passSecurity()
        #expect(target.pairs.contains("ImmediateData=No") && target.pairs.contains("InitialR2T=Yes"))
        let parameters = try #require(target.respond(["MaxBurstLength=262144"], tsih: 7).parameters)
        #expect(!parameters.immediateData && parameters.initialR2T)
        #expect(parameters.maxImmediateDataLength == 0)
    }

    @Test func irrelevantAndRejectLeaveTheDefault() throws {
        var target = LoginTarget()
        _ = target.passSecurity()
        let step = target.respond(
            [
                "ImmediateData=No", "InitialR2T=Yes", "FirstBurstLength=Irrelevant",
                "MaxOutstandingR2T=Reject",
                "MaxBurstLength=4096", "HeaderDigest=Reject",
            ], tsih: 1)
        let parameters = try #require(step.parameters)
        #expect(parameters.firstBurstLength == 4096, "never above MaxBurstLength")
        #expect(parameters.maxOutstandingR2T == 1 && parameters.maxImmediateDataLength == 0)
    }

    @Test func directToOperationalStage() throws {
        var target = LoginTarget(LoginTarget.options { $0.skipsSecurityNegotiation = true })
        _ = target.start()
        #expect(target.request.currentStage == .loginOperationalNegotiation)
        #expect(target.pairs.first == "InitiatorName=iqn.2001-04.com.example:host")
        #expect(target.pairs.contains("MaxBurstLength=1048576") && !target.pairs.contains("AuthMethod=None"))
        let parameters = try #require(target.respond(["TargetPortalGroupTag=0"], tsih: 1).parameters)
        #expect(parameters.targetPortalGroupTag == 0, "0 is a legal tag")
    }

    @Test func securityTakesSeveralRounds() {
        var target = LoginTarget()
        _ = target.start()
        #expect(target.respond(["TargetPortalGroupTag=1"], transit: false).isSend)
        #expect(target.request.isTransit && target.lastData.isEmpty)
        #expect(target.respond(["AuthMethod=None", "TargetPortalGroupTag=1"]).isSend)
        #expect(target.request.currentStage == .loginOperationalNegotiation)
    }

    // MARK: long texts

    /// The same response cut at every byte: C bit on all but the last part.
    @Test func continuedResponse() throws {
        let text =
            "HeaderDigest=None\0MaxBurstLength=65536\0FirstBurstLength=4096\0InitialR2T=No\0TargetAlias=x\0"
        let bytes = Array(text.utf8)
        var whole = LoginTarget()
        _ = whole.passSecurity()
        let expected = try #require(whole.respond(tsih: 1, text: bytes).parameters)
        for cut in 0...bytes.count {
            var target = LoginTarget()
            _ = target.passSecurity()
            #expect(target.respond(continued: true, text: Array(bytes[..<cut])).isSend)
            #expect(target.lastData.isEmpty && target.request.isTransit && !target.request.isContinued)
            var parameters = try #require(target.respond(tsih: 1, text: Array(bytes[cut...])).parameters)
            #expect(parameters.expStatSN == StatSN(0x103))
            parameters.expStatSN = expected.expStatSN
            #expect(parameters == expected, "cut at \(cut)")
        }
    }

    /// A text of ours beyond 8192 bytes: C on each part but the last, T only there. Unknown keys make it so
    /// long.
    @Test func continuedRequest() throws {
        var target = LoginTarget()
        _ = target.passSecurity()
        let keys = (0..<200).map { "X-" + String(repeating: "k", count: 55) + ".\($0)=1" }
        #expect(target.respond(keys, transit: false).isSend)
        #expect(target.lastData.count == 8192 && target.request.isContinued && !target.request.isTransit)
        var text = target.lastData
        #expect(target.respond().isSend)
        #expect(!target.request.isContinued && target.request.isTransit)
        text += target.lastData
        #expect(try TextSegment.parse(text).count == 200)
        #expect(try TextSegment.parse(text).allSatisfy { $0.value == "NotUnderstood" })
        #expect(target.respond(tsih: 1).parameters != nil)
    }

    @Test func dataInTheMiddleOfOurText() {
        var target = LoginTarget()
        _ = target.passSecurity()
        _ = target.respond(
            (0..<200).map { "X-" + String(repeating: "k", count: 55) + ".\($0)=1" }, transit: false)
        #expect(target.respond(["MaxBurstLength=512"]).violation == .continued("answered with data"))
    }

    // MARK: the ends

    @Test(
        arguments: [
            0x0200, 0x0201, 0x0202, 0x0203, 0x0204, 0x0205, 0x0206, 0x0207, 0x0208, 0x0209, 0x020a, 0x020b,
            0x0300,
            0x0301, 0x0302, 0x0399, 0x0400,
        ] as [UInt16])
    func refused(status: UInt16) {
        var target = LoginTarget()
        _ = target.start()
        // Targets leave the other fields as they like.
        let step = target.respond(transit: false, status: status) {
            $0.lun = 0
            $0[6] = 0
        }
        // Without CHAP there is only one thing that 0201 can mean.
        let expected: LoginError =
            status == 0x0201
            ? .authentication(.targetWantsCHAP(.authenticationFailure))
            : .refused(LoginStatus(rawValue: status))
        #expect(step.error == expected)
        #expect(step.error?.isRetryable == (status >> 8 == 3))
    }

    @Test func redirected() {
        for (status, isPermanent) in [(UInt16(0x0101), false), (0x0102, true)] {
            var target = LoginTarget()
            _ = target.start()
            let step = target.respond(["TargetAddress=[fe80::1]:3261"], transit: false, status: status)
            guard case .redirected(let address, isPermanent) = step else {
                Issue.record("\(step)")
                continue
            }
            #expect(address == PortalAddress(host: "fe80::1", port: 3261))
        }
        for pairs in [[], ["TargetAddress="], ["TargetAddress=a b"]] {
            var target = LoginTarget()
            _ = target.start()
            let violation = target.respond(pairs, transit: false, status: 0x0101).violation
            guard case .noRedirectAddress = violation else {
                Issue.record("\(pairs)")
                continue
            }
        }
    }

    @Test func connectionClosed() {
        var target = LoginTarget()
        _ = target.start()
        let error = target.machine.connectionClosed()
        #expect(error == .connectionClosed(during: .securityNegotiation))
        #expect(error.description.contains("CHAP") && error.isRetryable)
        #expect(target.respond().violation == .afterEnd)
    }

    @Test func wrongOptions() {
        var target = LoginTarget(LoginTarget.options { $0.targetName = nil })
        #expect(target.start().error == .options("a normal session needs a target name"))
        target = LoginTarget(LoginTarget.options { $0.tsih = 4 })
        guard case .options = target.start().error else {
            Issue.record("a connection cannot join without its session")
            return
        }
    }

    // MARK: targets that break the protocol

    /// Spoilt headers, one field each.
    @Test func spoiltHeaders() {
        typealias Violation = LoginError.ProtocolViolation
        func violation(_ spoil: (inout BasicHeaderSegment) -> Void) -> Violation? {
            var target = LoginTarget()
            _ = target.passSecurity()
            return target.respond(tsih: 5, spoil: spoil).violation
        }
        #expect(violation { _ in } == nil)
        #expect(violation { $0[byte: 0] = 0x24 } == .unexpectedOpcode(0x24))
        #expect(
            violation { $0[byte: 4] = 1 }
                == .headerLength(dataSegmentLength: 0, received: 0, totalAHSLength: 1))
        #expect(
            violation { $0.dataSegmentLength = 4 }
                == .headerLength(dataSegmentLength: 4, received: 0, totalAHSLength: 0))
        #expect(violation { $0.initiatorTaskTag = 9 } == .initiatorTaskTag(9))
        #expect(violation { $0[byte: 3] = 1 } == .version(1))
        #expect(
            violation { $0[byte: 8] = 1 }
                == .isid(
                    InitiatorSessionID(value: InitiatorSessionID(hash: 42).value & 0xff_ffff_ffff | 1 << 40)))
        #expect(violation { $0[6] = 0x105 } == .statSN(StatSN(0x105), expected: StatSN(0x101)))
        #expect(violation { $0[byte: 1] = 0x81 } == .stage(current: 0), "back in SecurityNegotiation")
        #expect(violation { $0[byte: 1] = 0x8b } == .stage(current: 2), "reserved stage")
        #expect(violation { $0[byte: 1] = 0xc7 } == .transit("set both T and C"))
        #expect(violation { $0[byte: 1] = 0x85 } == .transit("choose a next stage that was not asked for"))
        #expect(violation { $0[byte: 1] = 0x86 } == .transit("choose a next stage that was not asked for"))
        #expect(violation { $0[byte: 15] = 0 } == .tsih(0), "a new session has a TSIH")
    }

    @Test func transitUnasked() {
        var target = LoginTarget()
        _ = target.passSecurity()
        _ = target.respond(
            (0..<200).map { "X-" + String(repeating: "k", count: 55) + ".\($0)=1" }, transit: false)
        let step = target.respond { $0[byte: 1] = 0x87 }
        #expect(step.violation == .transit("leave the stage before it was asked to"))
    }

    @Test func joinedSessionKeepsItsTSIH() {
        var target = LoginTarget(
            LoginTarget.options {
                $0.tsih = 9
                $0.session = NegotiatedParameters()
            })
        _ = target.passSecurity()
        #expect(target.respond(tsih: 8).violation == .tsih(8))
    }

    @Test func rejectPDU() {
        var target = LoginTarget()
        _ = target.start()
        let step = target.respond {
            $0 = BasicHeaderSegment(.reject, byte2: 0x09)
        }
        #expect(step.error == .rejected(.invalidPDUField))
    }

    /// One wrong pair each in LoginOperationalNegotiation.
    @Test(arguments: [
        "MaxBurstLength=1048577", "MaxBurstLength=511", "MaxBurstLength=x", "MaxBurstLength=",
        "MaxConnections=0", "MaxConnections=2", "ErrorRecoveryLevel=1", "DefaultTime2Wait=1",
        "DefaultTime2Retain=21", "InitialR2T=Maybe", "DataPDUInOrder=No", "HeaderDigest=CRC32C",
        "MaxOutstandingR2T=17", "MaxBurstLength=NotUnderstood", "MaxRecvDataSegmentLength=0",
        "MaxRecvDataSegmentLength=16777216", "MaxRecvDataSegmentLength=x", "TargetPortalGroupTag=65536",
        "InitiatorName=iqn.x", "SessionType=Normal", "SendTargets=All", "AuthMethod=None", "CHAP_R=0x00",
        "X-foo=Reject", "TaskReporting=NotUnderstood",
    ])
    func wrongPairs(_ pair: String) {
        var target = LoginTarget()
        _ = target.passSecurity()
        let step = target.respond([pair], transit: false)
        #expect(step.violation != nil)
        #expect(step.error?.description.hasPrefix("the target breaks the iSCSI protocol: ") == true)
        #expect(step.error?.isRetryable == false)
    }

    @Test func outOfRangeProposalIsRejected() {
        var target = LoginTarget(
            LoginTarget.options {
                $0.tsih = 1
                $0.session = NegotiatedParameters()
            })
        _ = target.passSecurity()
        #expect(
            target.respond(["MaxConnections=0", "InitialR2T=perhaps", "MaxBurstLength=1~x"], transit: false)
                .isSend)
        #expect(target.pairs == ["MaxConnections=Reject", "InitialR2T=Reject", "MaxBurstLength=Reject"])
    }

    @Test func negotiatedTwice() {
        for pair in ["MaxBurstLength=512", "IFMarker=No", "X-foo=1"] {
            var target = LoginTarget()
            _ = target.passSecurity()
            #expect(target.respond([pair], transit: false).isSend)
            let key = String(pair.prefix { $0 != "=" })
            #expect(target.respond([pair]).violation == .repeatedKey(key))
        }
        var target = LoginTarget()
        _ = target.passSecurity()
        #expect(target.respond(["TargetPortalGroupTag=2"]).violation == .repeatedKey("TargetPortalGroupTag"))
    }

    @Test func proposalAtTheEnd() {
        var target = LoginTarget(
            LoginTarget.options {
                $0.tsih = 1
                $0.session = NegotiatedParameters()
            })
        _ = target.passSecurity()
        #expect(
            target.respond(["MaxBurstLength=512"], tsih: 1).violation == .proposalAtEnd(key: "MaxBurstLength")
        )
    }

    @Test func burstsThatContradict() {
        var target = LoginTarget()
        _ = target.passSecurity()
        let step = target.respond(["MaxBurstLength=4096", "FirstBurstLength=8192", "InitialR2T=No"], tsih: 1)
        #expect(step.violation == .firstBurstAboveMaxBurst(first: 8192, max: 4096))
    }

    @Test func requiredDigest() {
        for pairs in [["HeaderDigest=None"], ["HeaderDigest=Reject"], []] {
            var target = LoginTarget(LoginTarget.options { $0.wanted.headerDigest = .required })
            _ = target.passSecurity()
            guard case .notAgreed(let key, _, _) = target.respond(pairs, tsih: 1).error else {
                Issue.record("\(pairs)")
                continue
            }
            #expect(key == "HeaderDigest")
        }
    }

    @Test func authenticationNotAgreed() {
        for value in ["CHAP", "Reject", "CHAP,None"] {
            var target = LoginTarget()
            _ = target.start()
            let step = target.respond(["AuthMethod=\(value)"], transit: false)
            let expected: LoginError =
                value == "Reject"
                ? .notAgreed(key: "AuthMethod", wanted: "None", answer: value)
                : .authentication(.targetWantsCHAP(nil))
            #expect(step.error == expected)
        }
        var target = LoginTarget()
        _ = target.start()
        #expect(target.respond(["AuthMethod=SRP"]).violation == .unofferedAuthMethod("SRP"))
        target = LoginTarget()
        _ = target.start()
        guard case .illegalKey = target.respond(["CHAP_A=5"]).violation else {
            Issue.record("CHAP was not offered")
            return
        }
        target = LoginTarget()
        _ = target.start()
        guard case .illegalKey = target.respond(["MaxBurstLength=512"]).violation else {
            Issue.record("no operational key in SecurityNegotiation")
            return
        }
        target = LoginTarget()
        _ = target.start()
        #expect(
            target.respond(["AuthMethod=None", "AuthMethod=None"]).violation == .repeatedKey("AuthMethod"))
    }

    @Test func endlessLogin() {
        var target = LoginTarget()
        var step = target.passSecurity()
        var rounds = 2
        while step.isSend, rounds < 100 {
            step = target.respond(transit: false)
            rounds += 1
        }
        #expect(step.violation == .tooManyRounds(LoginStateMachine.maximumRounds))
    }

    @Test func endlessText() {
        var target = LoginTarget()
        _ = target.passSecurity()
        var step = target.respond(continued: true, text: Array(repeating: 0, count: 8192))
        for _ in 0..<8 where step.isSend {
            step = target.respond(continued: true, text: Array(repeating: 0, count: 8192))
        }
        #expect(step.error == .malformedText(.tooLong(limit: 65536)))
    }

    @Test func malformedText() {
        var target = LoginTarget()
        _ = target.start()
        #expect(
            target.respond(text: Array("AuthMethod".utf8)).error == .malformedText(.unterminated(offset: 0)))
    }

    /// Random headers and texts: the machine never traps and always ends.
    @Test func randomTarget() {
        var random = SeededGenerator(state: 3260)
        let fragments = TextKey.table.map(\.name) + ["X-a", "", "="]
        let values = [
            "Yes", "No", "0", "512", "65536", "None", "CRC32C,None", "Reject", "1~2", "\u{0}", "Irrelevant",
        ]
        for _ in 0..<1500 {
            var target = LoginTarget()
            var step = target.start()
            var rounds = 0
            while step.isSend {
                rounds += 1
                #expect(rounds <= LoginStateMachine.maximumRounds)
                let pairs = (0..<Int.random(in: 0...3, using: &random)).map { _ in
                    fragments.randomElement(using: &random)! + "=" + values.randomElement(using: &random)!
                }
                let isSpoilt = Int.random(in: 0..<8, using: &random) == 0
                step = target.respond(
                    pairs, transit: Bool.random(using: &random),
                    continued: Int.random(in: 0..<4, using: &random) == 0,
                    tsih: UInt16.random(in: 0...2, using: &random)
                ) {
                    if isSpoilt {
                        $0[byte: Int.random(in: 0..<48, using: &random)] ^=
                            1 << UInt8.random(in: 0..<8, using: &random)
                    }
                }
            }
        }
    }
}
