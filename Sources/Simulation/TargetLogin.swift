import CausewayCore

/// The Login Phase at the target (RFC 7143 §6.3).
struct TargetLogin {
    private(set) var parameters = NegotiatedParameters()
    private var stage: UInt8?
    private var first: LoginRequest?
    private var text: [UInt8] = []
    private var initiatorName = ""
    private var keys: [String: String] = [:]
    private var answered = false
    private var finalAnswer: [TextPair] = []
    private var unsent: [UInt8] = []
    private var unsentTransits = false
    private var unsentStage: UInt8?
    private var beginsFullFeature = false
    private var authentication = TargetAuthentication()

    mutating func received(_ header: BasicHeaderSegment, _ data: [UInt8], _ connection: TargetConnection) {
        guard header.opcode == .loginRequest, header.isImmediate else {
            return connection.fail("opcode \(header.opcode.rawValue) during login")
        }
        let request = LoginRequest(header)
        if let first {
            guard request.isid == first.isid, request.tsih == first.tsih, request.cmdSN == first.cmdSN,
                request.initiatorTaskTag == first.initiatorTaskTag, request.cid == first.cid,
                request.expStatSN.value == connection.statSN
            else { return connection.fail("a login request that does not follow from the first") }
        } else {
            guard request.tsih == 0 || connection.target.options.maxConnections > 1 else {
                return connection.fail("TSIH \(request.tsih)")
            }
            first = request
            stage = request.currentStage?.rawValue
        }
        guard request.currentStage?.rawValue == (unsent.isEmpty ? stage : unsentStage) else {
            return connection.fail("login stage out of order")
        }
        text += data
        if request.isContinued { return answer([], request, transits: false, connection) }
        if !unsent.isEmpty {
            guard data.isEmpty else { return connection.fail("text while the target's own is continued") }
            return sendNext(request, connection)
        }
        guard let pairs = try? TextSegment.parse(text) else {
            return connection.fail("login text that cannot be read")
        }
        text = []
        for pair in pairs {
            guard keys.updateValue(pair.value, forKey: pair.key) == nil else {
                return connection.fail("key \(pair.key) twice")
            }
        }
        if request.currentStage == .securityNegotiation {
            security(request, connection)
        } else {
            operational(pairs, request, connection)
        }
    }

    private mutating func security(_ request: LoginRequest, _ connection: TargetConnection) {
        initiatorName = keys["InitiatorName"] ?? ""
        guard !initiatorName.isEmpty, keys["SessionType"] == (request.tsih == 0 ? "Normal" : nil) else {
            return connection.fail("a login without InitiatorName or SessionType")
        }
        guard keys["TargetName"] == connection.target.name else {
            return refuse(0x0203, request, connection)
        }
        if let elsewhere = connection.target.options.redirections[connection.connection.portal] {
            return refuse(
                elsewhere.isPermanent ? 0x0102 : 0x0101, request, connection,
                [TextPair(.targetAddress, elsewhere.address)])
        }
        if request.tsih != 0, let status = refusal(request, connection) {
            return refuse(status, request, connection)
        }
        guard connection.target.options.chap == .none else { return authenticate(request, connection) }
        guard keys["AuthMethod"]?.split(separator: ",").contains("None") == true else {
            return connection.fail("AuthMethod \(keys["AuthMethod"] ?? "absent")")
        }
        guard request.isTransit, request.nextStage == .loginOperationalNegotiation else {
            return connection.fail("SecurityNegotiation with nothing to prove goes on")
        }
        endSecurity([TextPair(.authMethod, "None")], request, connection)
    }

    /// Why a connection may not join its session; nil if it may (RFC 7143 §6.3.1).
    private func refusal(_ request: LoginRequest, _ connection: TargetConnection) -> UInt32? {
        let target = connection.target
        guard let session = target.session(tsih: request.tsih), session.isid == request.isid.value,
            session.initiatorName == initiatorName
        else { return 0x020a }
        guard session.portalGroup == target.options.portalGroups[connection.connection.portal] else {
            return 0x0208
        }
        let others = session.connections.keys.count { $0 != request.cid }
        return others < session.parameters.maxConnections ? nil : 0x0206
    }

    private mutating func endSecurity(
        _ pairs: [TextPair], _ request: LoginRequest, _ connection: TargetConnection
    ) {
        stage = LoginStage.loginOperationalNegotiation.rawValue
        let portalGroup = connection.target.options.portalGroups[connection.connection.portal]
        answer(
            [TextPair(.targetPortalGroupTag, "\(portalGroup)")] + pairs, request, transits: true, connection)
    }

    private mutating func authenticate(_ request: LoginRequest, _ connection: TargetConnection) {
        switch authentication.advance(keys, connection.target.options, connection.target.random) {
        case .go(let pairs, false): answer(pairs, request, transits: false, connection)
        case .go(let pairs, true):
            guard request.isTransit, request.nextStage == .loginOperationalNegotiation else {
                return connection.fail("the last word of CHAP without T")
            }
            endSecurity(pairs, request, connection)
        case .refused: refuse(0x0201, request, connection)
        case .broken(let what): connection.fail(what)
        }
    }

    private mutating func operational(
        _ pairs: [TextPair], _ request: LoginRequest, _ connection: TargetConnection
    ) {
        let options = connection.target.options
        if !answered {
            answered = true
            if let session = connection.target.session(tsih: request.tsih) {
                let keys: Set = ["HeaderDigest", "DataDigest", "MaxRecvDataSegmentLength"]
                if let pair = pairs.first(where: { !keys.contains($0.key) }) {
                    return connection.fail("\(pair.key) on a connection that joins a session")
                }
                parameters = session.parameters
                parameters.headerDigest = .none
                parameters.dataDigest = .none
            }
            finalAnswer = pairs.compactMap { settle($0, options) }
            if options.isLIO { finalAnswer.append(TextPair(.targetAlias, "LIO Target")) }
            finalAnswer.append(TextPair(.maxRecvDataSegmentLength, "\(options.maxRecvDataSegmentLength)"))
            if options.asksTwice || !request.isTransit {
                let pairs = finalAnswer
                finalAnswer = []
                return answer(pairs, request, transits: false, connection)
            }
        }
        guard request.isTransit, request.nextStage == .fullFeaturePhase else {
            return connection.fail("an empty login request without T")
        }
        lastRequest = request
        let portalGroup = options.portalGroups[connection.connection.portal]
        if request.tsih == 0 {
            connection.target.reinstate(
                name: initiatorName, isid: request.isid.value, portalGroup: portalGroup)
        }
        let latency = connection.target.random.nanoseconds(options.loginLatency)
        connection.target.timeline.after(latency) { [weak connection] in connection?.goOn() }
    }

    private var lastRequest: LoginRequest?

    /// The old session is gone (or the target does not care): the session begins.
    mutating func finish(_ connection: TargetConnection) {
        guard let request = lastRequest, connection.phase == .login, connection.session == nil else { return }
        let target = connection.target
        if target.isPaused {
            target.timeline.at(target.pausedUntil + 1000) { [weak connection] in connection?.goOn() }
            return
        }
        if request.tsih != 0 { return join(request, connection) }
        let portalGroup = target.options.portalGroups[connection.connection.portal]
        target.reinstate(name: initiatorName, isid: request.isid.value, portalGroup: portalGroup)
        if target.options.reinstatement == .drains,
            target.drainsFor(name: initiatorName, isid: request.isid.value, portalGroup: portalGroup)
        {
            return target.waitForDrain(connection)
        }
        let session = target.makeSession(
            name: initiatorName, isid: request.isid.value, portalGroup: portalGroup,
            cmdSN: request.cmdSN.value, parameters)
        session.connections[request.cid] = connection
        connection.session = session
        connection.cid = request.cid
        answer(finalAnswer, request, transits: true, connection)
        connection.chronicle.trace(
            "target",
            "session \(session.tsih) through portal \(connection.connection.portal), "
                + "interface \(connection.connection.interface)")
    }

    /// A further connection of a session; one with its CID is logged out by that (RFC 7143 §6.3.4).
    private mutating func join(_ request: LoginRequest, _ connection: TargetConnection) {
        if let status = refusal(request, connection) { return refuse(status, request, connection) }
        guard let session = connection.target.session(tsih: request.tsih) else { return }
        // As it was when the login began, which may be long ago.
        guard Int32(bitPattern: request.cmdSN.value &- session.expCmdSN) < 5000 else {
            return connection.fail("a login with CmdSN \(request.cmdSN.value), expected \(session.expCmdSN)")
        }
        if connection.target.options.isLIO && session.connections[request.cid] != nil {
            return connection.fail("a connection reinstatement, of which LIO's kernel dies")
        }
        if !isReplacing {
            isReplacing = true
            let timeline = connection.target.timeline
            return connection.target.logOut(request.cid, of: session) { [weak connection] in
                timeline.after(1000) { connection?.goOn() }
            }
        }
        session.connections[request.cid] = connection
        connection.session = session
        connection.cid = request.cid
        answer(finalAnswer, request, transits: true, connection)
        connection.chronicle.trace(
            "target",
            "session \(session.tsih), CID \(request.cid) through portal \(connection.connection.portal), "
                + "interface \(connection.connection.interface)")
    }

    private var isReplacing = false

    /// The answer to one key, by the result functions of RFC 7143 §13.
    private mutating func settle(_ pair: TextPair, _ options: TargetOptions) -> TextPair? {
        let number = Int(pair.value) ?? 0
        func lower(_ path: WritableKeyPath<NegotiatedParameters, Int>, _ own: Int) -> TextPair {
            parameters[keyPath: path] = min(number, own)
            return TextPair(pair.key, "\(min(number, own))")
        }
        switch pair.key {
        case "HeaderDigest":
            parameters.headerDigest = choose(pair.value, options.headerDigest)
            return TextPair(pair.key, "\(parameters.headerDigest)")
        case "DataDigest":
            parameters.dataDigest = choose(pair.value, options.dataDigest)
            return TextPair(pair.key, "\(parameters.dataDigest)")
        case "MaxRecvDataSegmentLength":
            parameters.initiatorMaxRecvDataSegmentLength = number
            return nil
        case "InitialR2T":
            parameters.initialR2T = pair.value == "Yes" || options.initialR2T
            return TextPair(pair.key, parameters.initialR2T ? "Yes" : "No")
        case "ImmediateData":
            parameters.immediateData = pair.value == "Yes" && options.immediateData
            return TextPair(pair.key, parameters.immediateData ? "Yes" : "No")
        case "MaxBurstLength": return lower(\.maxBurstLength, options.maxBurstLength)
        case "FirstBurstLength":
            return lower(\.firstBurstLength, min(options.firstBurstLength, options.maxBurstLength))
        case "MaxOutstandingR2T": return lower(\.maxOutstandingR2T, options.maxOutstandingR2T)
        case "MaxConnections": return lower(\.maxConnections, options.maxConnections)
        case "ErrorRecoveryLevel": return lower(\.errorRecoveryLevel, options.errorRecoveryLevel)
        case "DefaultTime2Retain": return lower(\.defaultTime2Retain, options.time2Retain)
        case "DefaultTime2Wait":
            parameters.defaultTime2Wait = max(number, options.time2Wait)
            return TextPair(pair.key, "\(parameters.defaultTime2Wait)")
        case "DataPDUInOrder", "DataSequenceInOrder": return TextPair(pair.key, "Yes")
        default: return TextPair(pair.key, "NotUnderstood")
        }
    }

    /// The first of the initiator's list that the target can do; a list without None is a demand.
    private func choose(_ list: String, _ canDigest: Bool) -> Digest {
        let offered = list.split(separator: ",")
        let isWanted = offered.first == "CRC32C" || !offered.contains("None")
        return isWanted && canDigest ? .crc32c : .none
    }

    private mutating func answer(
        _ pairs: [TextPair], _ request: LoginRequest, transits: Bool, _ connection: TargetConnection
    ) {
        unsent = TextSegment.build(pairs)
        unsentTransits = transits
        unsentStage = request.currentStage?.rawValue
        sendNext(request, connection)
    }

    /// The next piece of an answer: all but the last with the C bit.
    private mutating func sendNext(_ request: LoginRequest, _ connection: TargetConnection) {
        let most = connection.target.options.textBytes
        let count = most == 0 ? unsent.count : min(most, unsent.count)
        let piece = Array(unsent[..<count])
        unsent.removeFirst(count)
        var header = response(request, connection)
        let current = request.currentStage?.rawValue ?? 0
        header[byte: 1] = current << 2
        if !unsent.isEmpty {
            header[byte: 1] |= 0x40
        } else if unsentTransits {
            header[byte: 1] |= 0x80 | (request.nextStage?.rawValue ?? 0)
            if request.nextStage == .fullFeaturePhase { beginsFullFeature = true }
        }
        connection.send(header, piece)
        if beginsFullFeature { connection.beginFullFeature() }
    }

    private func response(_ request: LoginRequest, _ connection: TargetConnection) -> BasicHeaderSegment {
        var header = connection.header(.loginResponse, countsStatus: true)
        header.lun = request.isid.value << 16 | UInt64(connection.session?.tsih ?? 0)
        header[4] = request.initiatorTaskTag
        if connection.session == nil {
            header[7] = request.cmdSN.value
            header[8] = request.cmdSN.value
        }
        return header
    }

    private func refuse(
        _ status: UInt32, _ request: LoginRequest, _ connection: TargetConnection, _ pairs: [TextPair] = []
    ) {
        var header = response(request, connection)
        header[byte: 1] = 0
        header[9] = status << 16
        connection.send(header, TextSegment.build(pairs))
        connection.close()
    }
}
