import Testing

@testable import CausewayCore

/// CHAP against a scripted target, with a "hash" that shows what went into it: algorithm, identifier, secret,
/// challenge, one after the other. The real hashes are tested where they are made.
@Suite struct CHAPTests {
    static func secret(_ text: String) -> CHAPSecret {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        bytes.copyBytes(from: Array(text.utf8))
        return CHAPSecret(adopting: UnsafeRawBufferPointer(bytes)) { $0.deallocate() }
    }

    static let functions = CHAPFunctions(
        hash: { (algorithm, identifier, secret, challenge) throws(CHAPHashError) in
            return [algorithm.rawValue, identifier] + secret.withBytes { Array($0) } + challenge
        },
        randomBytes: { count in (0..<count).map { UInt8(0xa0 + $0) } })

    static let own = "our secret 12"
    static let theirs = "their secret 12"

    static func hex(_ algorithm: UInt8, _ identifier: UInt8, _ secret: String, _ challenge: [UInt8]) -> String
    {
        TextValue.hexadecimal([algorithm, identifier] + Array(secret.utf8) + challenge)
    }

    static func chap(_ change: (inout CHAPOptions) -> Void = { _ in }) -> CHAPOptions {
        var options = CHAPOptions(user: "host1", secret: secret(own), functions: functions)
        change(&options)
        return options
    }

    /// One that wants the target to prove who it is.
    static func mutual(_ change: (inout CHAPOptions) -> Void = { _ in }) -> CHAPOptions {
        chap {
            $0.mutualSecret = secret(theirs)
            $0.mutualUser = "array"
            $0.mutualLevel = .required
            change(&$0)
        }
    }

    static func target(_ options: CHAPOptions) -> LoginTarget {
        LoginTarget(LoginTarget.options { $0.authentication = .chap(options) })
    }

    /// At the point where the target has the response.
    static func responded(
        _ options: CHAPOptions, _ challenge: [String] = ["CHAP_A=5", "CHAP_I=7", "CHAP_C=0x0102"]
    ) -> LoginTarget {
        var target = target(options)
        _ = target.start()
        _ = target.respond(["TargetPortalGroupTag=1", "AuthMethod=CHAP"])
        _ = target.respond(challenge)
        return target
    }

    static let ownChallenge = (1...16).map { UInt8(0xa0 + $0) }

    // MARK: what is sent

    @Test func `One-way, step by step`() {
        var target = Self.target(Self.chap())
        #expect(target.start().isSend)
        #expect(target.pairs.last == "AuthMethod=CHAP")
        #expect(!target.request.isTransit)
        #expect(target.respond(["TargetPortalGroupTag=1", "AuthMethod=CHAP"]).isSend)
        #expect(target.pairs == ["CHAP_A=8,7,6,5"])
        #expect(!target.request.isTransit)
        #expect(target.respond(["CHAP_A=7", "CHAP_I=255", "CHAP_C=0xAb01"]).isSend)
        #expect(target.pairs == ["CHAP_N=host1", "CHAP_R=\(Self.hex(7, 255, Self.own, [0xab, 1]))"])
        #expect(target.request.isTransit)
        #expect(target.machine.challenges == [[0xab, 1]])
        #expect(target.respond().isSend)
        #expect(target.request.currentStage == .loginOperationalNegotiation)
        #expect(target.respond(tsih: 7).parameters?.authentication == "CHAP SHA-256, one-way")
    }

    @Test func `Mutual, step by step; the order of keys does not matter`() {
        var target = Self.target(Self.mutual())
        _ = target.start()
        _ = target.respond(["AuthMethod=CHAP"])
        #expect(target.respond(["CHAP_C=0b3q0=", "CHAP_A=8", "CHAP_I=0x10"]).isSend)
        #expect(
            target.pairs == [
                "CHAP_N=host1", "CHAP_R=\(Self.hex(8, 16, Self.own, [0xde, 0xad]))", "CHAP_I=160",
                "CHAP_C=\(TextValue.hexadecimal(Self.ownChallenge))",
            ])
        #expect(target.machine.challenges == [[0xde, 0xad], Self.ownChallenge])
        let step = target.respond([
            "CHAP_R=\(Self.hex(8, 160, Self.theirs, Self.ownChallenge))", "CHAP_N=array",
        ])
        #expect(step.isSend)
        #expect(target.request.currentStage == .loginOperationalNegotiation)
        #expect(target.respond(tsih: 7).parameters?.authentication == "CHAP SHA3-256, mutual")
    }

    @Test func `A target may keep the stage open after its proof`() {
        var target = Self.responded(Self.mutual())
        let proof = ["CHAP_N=array", "CHAP_R=\(Self.hex(5, 160, Self.theirs, Self.ownChallenge))"]
        #expect(target.respond(proof, transit: false).isSend)
        #expect(target.request.currentStage == .securityNegotiation && target.request.isTransit)
        #expect(target.pairs == [])
        #expect(target.respond().isSend)
        #expect(target.request.currentStage == .loginOperationalNegotiation)
    }

    @Test(arguments: [
        (AuthenticationLevel.prohibited, "None", true), (.discouraged, "None,CHAP", false),
        (.preferred, "CHAP,None", false), (.required, "CHAP", false),
    ])
    func `The level decides what is offered`(level: AuthenticationLevel, offer: String, transits: Bool) {
        var target = Self.target(Self.chap { $0.level = level })
        _ = target.start()
        #expect(target.pairs.last == "AuthMethod=\(offer)")
        #expect(target.request.isTransit == transits)
        let step = target.respond(["AuthMethod=None"])
        switch level {
        case .prohibited: #expect(target.request.currentStage == .loginOperationalNegotiation)
        case .discouraged, .preferred:
            #expect(step.isSend && target.request.isTransit && target.pairs == [])
        case .required: #expect(step.error == .authentication(.targetHasNoCHAP(answer: "None")))
        }
    }

    @Test func `The largest challenge is taken`() {
        for text in [
            "0x" + String(repeating: "5a", count: 1024),
            "0b" + String(repeating: "Wlpa", count: 341) + "Wg==",
        ] {
            let target = Self.responded(Self.chap(), ["CHAP_A=5", "CHAP_I=7", "CHAP_C=\(text)"])
            let challenge = [UInt8](repeating: 0x5a, count: 1024)
            #expect(target.pairs == ["CHAP_N=host1", "CHAP_R=\(Self.hex(5, 7, Self.own, challenge))"])
        }
    }

    @Test func `Forbidden algorithms are not offered and not taken`() {
        var target = Self.target(Self.chap { $0.algorithms = [.sha256, .sha1] })
        _ = target.start()
        _ = target.respond(["AuthMethod=CHAP"])
        #expect(target.pairs == ["CHAP_A=7,6"])
        #expect(
            target.respond(["CHAP_A=5", "CHAP_I=1", "CHAP_C=0x01"]).violation
                == .illegalAnswer(key: "CHAP_A", offered: "7,6", answer: "5"))
    }

    // MARK: targets that do wrong

    @Test(arguments: [
        (["CHAP_A=5", "CHAP_I=7"], LoginError.ProtocolViolation.missingKey("CHAP_C")),
        (["CHAP_A=5", "CHAP_C=0x01"], .missingKey("CHAP_I")),
        (["CHAP_I=7", "CHAP_C=0x01"], .missingKey("CHAP_A")),
        ([], .missingKey("CHAP_A")),
        (["CHAP_A=9", "CHAP_I=7", "CHAP_C=0x01"], nil), (["CHAP_A=5,6", "CHAP_I=7", "CHAP_C=0x01"], nil),
        (["CHAP_A=261", "CHAP_I=7", "CHAP_C=0x01"], nil),
        (["CHAP_A=5", "CHAP_I=256", "CHAP_C=0x01"], .illegalDeclaration(key: "CHAP_I", value: "256")),
        (["CHAP_A=5", "CHAP_I=-1", "CHAP_C=0x01"], .illegalDeclaration(key: "CHAP_I", value: "-1")),
        (["CHAP_A=5", "CHAP_I=7", "CHAP_C=12"], nil), (["CHAP_A=5", "CHAP_I=7", "CHAP_C=0x"], nil),
        (["CHAP_A=5", "CHAP_I=7", "CHAP_C=0xgg"], nil), (["CHAP_A=5", "CHAP_I=7", "CHAP_C="], nil),
        (["CHAP_A=5", "CHAP_I=7", "CHAP_C=0x" + String(repeating: "00", count: 1025)], nil),
        (["CHAP_A=5", "CHAP_I=7", "CHAP_C=0x01", "CHAP_N=x"], nil),
        (["CHAP_A=5", "CHAP_A=5", "CHAP_I=7", "CHAP_C=0x01"], .repeatedKey("CHAP_A")),
        (["CHAP_A=5", "CHAP_I=7", "CHAP_C=0x01", "AuthMethod=CHAP"], nil),
    ])
    func `A wrong challenge ends the login`(
        answer: [String], expected: LoginError.ProtocolViolation?
    ) throws {
        var target = Self.target(Self.chap())
        _ = target.start()
        _ = target.respond(["AuthMethod=CHAP"])
        let violation = try #require(target.respond(answer).violation)
        if let expected { #expect(violation == expected) }
    }

    @Test func `A choice of method has to come, and once`() {
        var target = Self.target(Self.chap())
        _ = target.start()
        #expect(target.respond(["TargetPortalGroupTag=1"]).violation == .missingKey("AuthMethod"))
        target = Self.target(Self.chap())
        _ = target.start()
        #expect(target.respond(["AuthMethod=SRP"]).violation == .unofferedAuthMethod("SRP"))
        target = Self.target(Self.chap())
        _ = target.start()
        #expect(
            target.respond(["AuthMethod=Reject"]).error == .authentication(.targetHasNoCHAP(answer: "Reject"))
        )
        target = Self.target(Self.chap())
        _ = target.start()
        _ = target.respond(["AuthMethod=CHAP"])
        #expect(target.respond(["AuthMethod=None"]).violation == .missingKey("CHAP_A"))
    }

    @Test func `The stage does not end before it is asked to`() {
        var target = Self.target(Self.chap())
        _ = target.start()
        guard case .transit? = target.respond(["AuthMethod=CHAP"], transit: true).violation else {
            Issue.record("transit before CHAP_A")
            return
        }
    }

    @Test(arguments: ["Reject", "NotUnderstood"])
    func `A target without a common algorithm is told of`(answer: String) {
        var target = Self.target(Self.chap { $0.algorithms = [.sha3256] })
        _ = target.start()
        _ = target.respond(["AuthMethod=CHAP"])
        #expect(
            target.respond(["CHAP_A=\(answer)"]).error
                == .authentication(.noCommonAlgorithm(offered: "SHA3-256")))
    }

    @Test(arguments: [[[1, 2]], [[9], [1, 2], [3]]] as [[[UInt8]]])
    func `A challenge of an earlier login is refused`(known: [[UInt8]]) {
        var target = Self.target(Self.chap { $0.knownChallenges = known })
        _ = target.start()
        _ = target.respond(["AuthMethod=CHAP"])
        #expect(
            target.respond(["CHAP_A=5", "CHAP_I=7", "CHAP_C=0x0102"]).error
                == .authentication(.challengeReused))
    }

    /// The rogue of RFC 7143 §9.2.1: our challenge of one connection comes back on another.
    @Test func `Our own challenge is refused on the next connection`() {
        let first = Self.responded(Self.mutual())
        var target = Self.target(Self.mutual { $0.knownChallenges = first.machine.challenges })
        _ = target.start()
        _ = target.respond(["AuthMethod=CHAP"])
        let reflected = "CHAP_C=\(TextValue.hexadecimal(Self.ownChallenge))"
        #expect(
            target.respond(["CHAP_A=5", "CHAP_I=160", reflected]).error == .authentication(.challengeReused))
    }

    @Test func `A challenge of a login that runs at the same time is refused`() {
        let other = Self.responded(Self.mutual())
        for challenge in other.machine.challenges {
            var target = Self.target(Self.mutual())
            _ = target.start()
            _ = target.respond(["AuthMethod=CHAP"])
            target.machine.know(other.machine.challenges)
            let again = "CHAP_C=\(TextValue.hexadecimal(challenge))"
            #expect(
                target.respond(["CHAP_A=5", "CHAP_I=1", again]).error == .authentication(.challengeReused))
        }
        // Its own do not stand in its way when they are known meanwhile.
        var target = Self.responded(Self.mutual())
        target.machine.know(target.machine.challenges)
        let proof = Self.hex(5, 0xa0, Self.theirs, Self.ownChallenge)
        #expect(target.respond(["CHAP_N=array", "CHAP_R=\(proof)"]).isSend)
    }

    @Test func `A source of randomness that repeats the target is refused`() {
        var target = Self.target(Self.mutual())
        _ = target.start()
        _ = target.respond(["AuthMethod=CHAP"])
        let same = "CHAP_C=\(TextValue.hexadecimal(Self.ownChallenge))"
        #expect(target.respond(["CHAP_A=5", "CHAP_I=1", same]).error == .authentication(.randomness))
    }

    @Test func `A target that does not prove who it is`() {
        func error(_ answer: [String], transit: Bool = true) -> LoginError? {
            var target = Self.responded(Self.mutual())
            return target.respond(answer, transit: transit).error
        }
        let proof = "CHAP_R=\(Self.hex(5, 160, Self.theirs, Self.ownChallenge))"
        #expect(error([]) == .authentication(.targetProvesNothing))
        #expect(error([], transit: false) == .authentication(.targetProvesNothing))
        #expect(error([proof]) == .protocolError(.missingKey("CHAP_N")))
        #expect(error(["CHAP_N=array"]) == .protocolError(.missingKey("CHAP_R")))
        #expect(error(["CHAP_N=array", "CHAP_R=0x00"]) == .authentication(.wrongResponse(.md5)))
        #expect(
            error(["CHAP_N=thief", proof])
                == .authentication(.wrongTargetName("thief", expected: "array")))
        // With our secret, and our own response sent back.
        let ours = "CHAP_R=\(Self.hex(5, 160, Self.own, Self.ownChallenge))"
        #expect(error(["CHAP_N=array", ours]) == .authentication(.responseReflected))
        let echo = "CHAP_R=\(Self.hex(5, 7, Self.own, [1, 2]))"
        #expect(error(["CHAP_N=array", echo]) == .authentication(.responseReflected))
        guard case .protocolError(.illegalKey)? = error(["CHAP_N=array", "CHAP_R=xyz"]) else {
            Issue.record("a response that is no binary value")
            return
        }
    }

    @Test func `Where it is only preferred, silence is taken and a wrong answer is not`() {
        var silent = Self.responded(Self.mutual { $0.mutualLevel = .preferred })
        #expect(silent.respond().isSend)
        #expect(silent.respond(tsih: 7).parameters?.authentication == "CHAP MD5, one-way")
        var wrong = Self.responded(Self.mutual { $0.mutualLevel = .preferred })
        #expect(
            wrong.respond(["CHAP_N=array", "CHAP_R=0x00"]).error == .authentication(.wrongResponse(.md5)))
    }

    @Test func `A target that was not asked proves nothing unasked`() {
        var target = Self.responded(Self.chap())
        guard case .illegalKey("CHAP_N", _)? = target.respond(["CHAP_N=a", "CHAP_R=0x00"]).violation else {
            Issue.record("a proof that nobody asked for")
            return
        }
    }

    @Test func `A hash that cannot be had is an error`() {
        let functions = CHAPFunctions(
            hash: { (_, _, _, _) throws(CHAPHashError) in throw CHAPHashError(reason: "FIPS") },
            randomBytes: { [UInt8](repeating: 1, count: $0) })
        var target = Self.target(CHAPOptions(user: "u", secret: Self.secret(Self.own), functions: functions))
        _ = target.start()
        _ = target.respond(["AuthMethod=CHAP"])
        #expect(
            target.respond(["CHAP_A=5", "CHAP_I=7", "CHAP_C=0x0102"]).error
                == .authentication(.hash(.md5, reason: "FIPS")))
    }

    // MARK: refusals

    @Test func `A target that wants CHAP says so in several ways`() {
        var target = LoginTarget()
        _ = target.start()
        #expect(
            target.respond(status: 0x0201).error
                == .authentication(.targetWantsCHAP(.authenticationFailure)))
        target = LoginTarget()
        _ = target.start()
        #expect(
            target.respond(["AuthMethod=CHAP"], transit: false).error
                == .authentication(.targetWantsCHAP(nil)))
        target = LoginTarget()
        _ = target.start()
        #expect("\(target.machine.connectionClosed())".contains("[chap]"))
        // With a secret it is a wrong one.
        target = Self.responded(Self.chap())
        #expect(target.respond(status: 0x0201).error == .refused(.authenticationFailure))
    }

    @Test func `MD5 alone is worth a try after another algorithm failed`() {
        func isWorth(
            _ algorithm: String, _ options: CHAPOptions, _ fail: (inout LoginTarget) -> LoginError?
        ) -> Bool {
            var target = Self.responded(options, ["CHAP_A=\(algorithm)", "CHAP_I=7", "CHAP_C=0x0102"])
            guard let error = fail(&target) else { return false }
            return target.machine.maySucceedWithMD5(after: error)
        }
        let refused = { (target: inout LoginTarget) in target.respond(status: 0x0200).error }
        #expect(isWorth("7", Self.chap(), refused))
        #expect(isWorth("7", Self.chap()) { $0.respond(status: 0x0201).error })
        #expect(isWorth("6", Self.chap()) { $0.machine.connectionClosed() })
        #expect(isWorth("7", Self.mutual()) { $0.respond(["CHAP_N=array", "CHAP_R=0x00"]).error })
        #expect(!isWorth("5", Self.chap(), refused))
        #expect(!isWorth("7", Self.chap { $0.algorithms = [.sha256, .sha1] }, refused))
        #expect(!isWorth("7", Self.chap()) { $0.respond(status: 0x0203).error })
        #expect(!isWorth("7", Self.mutual()) { $0.respond().error })
        #expect(!isWorth("7", Self.chap { $0.level = .prohibited }, refused))
    }

    // MARK: options

    @Test func `What cannot be used is refused before anything is sent`() {
        #expect(Self.chap().problem == nil)
        #expect(Self.mutual().problem == nil)
        let wrong: [(CHAPOptions, String)] = [
            (
                CHAPOptions(user: "u", secret: Self.secret("elevenbytes"), functions: Self.functions),
                "11 bytes"
            ),
            (CHAPOptions(user: "", secret: Self.secret(Self.own), functions: Self.functions), "user"),
            (Self.chap { $0.algorithms = [] }, "algorithm"),
            (Self.chap { $0.mutualLevel = .required }, "not set"),
            (Self.mutual { $0.mutualSecret = Self.secret("short") }, "5 bytes"),
            (Self.mutual { $0.mutualSecret = Self.secret(Self.own) }, "same CHAP secret"),
            (Self.mutual { $0.level = .preferred }, "level must be required"),
            (
                Self.mutual {
                    $0.mutualLevel = .preferred
                    $0.level = .discouraged
                }, "level must be preferred"
            ),
        ]
        for (options, words) in wrong {
            #expect(options.problem?.contains(words) == true, "\(words): \(options.problem ?? "nothing")")
            var target = Self.target(options)
            guard case .options? = target.start().error else {
                Issue.record("sent all the same: \(words)")
                continue
            }
        }
    }

    /// Whatever a target sends in the stage, it ends with an error or goes on; it never traps.
    @Test func `No order of keys traps`() {
        let keys = [
            "AuthMethod=CHAP", "AuthMethod=None", "CHAP_A=5", "CHAP_I=1", "CHAP_C=0x01", "CHAP_N=array",
            "CHAP_R=0x00", "CHAP_R=Reject",
        ]
        for seed in 0..<2000 {
            var number = seed &* 2_654_435_761
            func draw(_ bound: Int) -> Int {
                number = number &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Int(UInt(bitPattern: number) >> 33) % bound
            }
            var target = Self.target(Self.mutual())
            var step = target.start()
            while step.isSend, target.request.currentStage == .securityNegotiation {
                let pairs = (0..<draw(5)).map { _ in keys[draw(keys.count)] }
                step = target.respond(pairs, transit: draw(2) == 0 && target.request.isTransit)
            }
            #expect(step.error != nil || target.request.currentStage == .loginOperationalNegotiation)
        }
    }
}
