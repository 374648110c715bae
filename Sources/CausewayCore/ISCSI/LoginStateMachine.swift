/// What the driver of a login is to do next.
public enum LoginStep: Sendable {
    /// Send this PDU (the data is to be padded to whole words) and hand in the answer.
    case send(BasicHeaderSegment, data: [UInt8])
    /// Full Feature Phase. Digests, if any, begin with the next PDU in both directions.
    case completed(NegotiatedParameters)
    /// Close the connection and log in there.
    case redirected(to: PortalAddress, permanent: Bool)
    /// Close the connection.
    case failed(LoginError)
}

/// The Login Phase of one connection, initiator side (RFC 7143 §6.3), without I/O.
///
///     ready ── start() ──► SecurityNegotiation ──T──► LoginOperationalNegotiation ──T──► over
///                 └─ skipsSecurityNegotiation ──────────────────┘
///
/// The offer of a stage goes out with the T bit: this side is done unless the target has questions. While the
/// target keeps T at 0, its proposals are answered and T is offered again, for a bounded number of rounds.
/// One request is outstanding at a time. Every text is collected until its C bit ends, bounded too.
public struct LoginStateMachine: Sendable {
    /// RFC 7143 §6.2 asks for at least six; CHAP and a chatty target stay far below this.
    public static let maximumRounds = 32
    /// The text of one logical response; RFC 7143 §6.1 asks for 64 KiB where authentication items are long.
    public static let maximumTextLength = 65536
    /// What a target takes before it has declared more (RFC 7143 §13.12).
    static let requestTextLength = 8192

    private enum State {
        /// Can move to: negotiating, on `start`.
        case ready
        /// Can move to: the next stage, over.
        case negotiating(LoginStage)
        case over
    }

    private let options: LoginOptions
    private var state = State.ready
    private var security: SecurityNegotiation
    private var operational: OperationalNegotiation
    private var rounds = 0
    private var expStatSN: StatSN?
    /// Text of ours that did not fit into a request.
    private var unsent: ArraySlice<UInt8> = []
    /// Text of the target that its C bit left unfinished.
    private var collected: [UInt8] = []
    /// The T bit of the outstanding request.
    private var askedToTransit = false

    public init(_ options: LoginOptions) {
        self.options = options
        security = SecurityNegotiation(options.authentication)
        operational = OperationalNegotiation(options)
    }

    /// What the target calls itself, once it has said so; escape it with `printable` before showing it.
    public var targetAlias: String? { operational.targetAlias }

    /// The challenges of both sides in this login, which no later one may use again.
    public var challenges: [[UInt8]] { security.challenges }

    /// Takes the challenges of other logins in the place of those that were known at the beginning: logins
    /// over several paths run at once.
    public mutating func know(_ challenges: [[UInt8]]) { security.know(challenges) }

    /// Whether a login that failed so may succeed with MD5 alone: the target chose another algorithm, and
    /// some targets take the number of one for another.
    public func maySucceedWithMD5(after error: LoginError) -> Bool {
        guard case .chap(let chap) = options.authentication, let algorithm = security.algorithm,
            algorithm != .md5, chap.algorithms.contains(.md5)
        else { return false }
        switch error {
        case .refused(.authenticationFailure), .authentication(.responseRefused): return true
        case .authentication(.wrongResponse): return true
        case .connectionClosed(during: .securityNegotiation): return security.hasResponded
        default: return false
        }
    }

    /// The first request. Called once.
    public mutating func start() -> LoginStep {
        guard case .ready = state else { preconditionFailure("start() twice") }
        do throws(LoginError) {
            try checkOptions()
        } catch {
            return fail(error)
        }
        var pairs = [TextPair(.initiatorName, options.initiatorName.text)]
        if let alias = options.initiatorAlias { pairs.append(TextPair(.initiatorAlias, alias)) }
        // Leading-only: LIO answers NotUnderstood on a connection that joins a session.
        if options.tsih == 0 { pairs.append(TextPair(.sessionType, options.sessionType.rawValue)) }
        if let target = options.targetName { pairs.append(TextPair(.targetName, target.text)) }
        if options.skipsSecurityNegotiation {
            return begin(.loginOperationalNegotiation, with: pairs + operational.offer())
        }
        return begin(.securityNegotiation, with: pairs + security.offer())
    }

    /// A PDU of the target with its data (DataSegmentLength bytes, unpadded).
    public mutating func received(_ header: BasicHeaderSegment, data: UnsafeRawBufferPointer) -> LoginStep {
        guard case .negotiating(let stage) = state else { return fail(.protocolError(.afterEnd)) }
        do throws(LoginError) {
            let response = try check(header, dataCount: data.count, stage: stage)
            guard collected.count + data.count <= Self.maximumTextLength else {
                throw .malformedText(.tooLong(limit: Self.maximumTextLength))
            }
            unsafe collected.append(contentsOf: data)
            if response.status != .success { return try refused(response) }
            expStatSN = response.statSN.next
            return try advance(response, stage: stage)
        } catch {
            return fail(error)
        }
    }

    /// The target has closed the connection, or it broke.
    public mutating func connectionClosed() -> LoginError {
        guard case .negotiating(let stage) = state else { return .protocolError(.afterEnd) }
        state = .over
        return .connectionClosed(during: stage)
    }

    private func checkOptions() throws(LoginError) {
        if options.sessionType == .normal, options.targetName == nil {
            throw .options("a normal session needs a target name")
        }
        if options.tsih != 0, options.session == nil {
            throw .options("a connection that joins a session needs the parameters of that session")
        }
        if case .chap(let chap) = options.authentication, chap.level != .prohibited,
            let problem = chap.problem
        {
            throw .options(problem)
        }
        if let alias = options.initiatorAlias, !LoginOptions.isAlias(alias) {
            throw .options("the initiator alias is empty, longer than 255 bytes or holds a NUL")
        }
    }

    /// Everything in a header that can be wrong, before its text is looked at.
    private func check(
        _ header: BasicHeaderSegment, dataCount: Int, stage: LoginStage
    ) throws(LoginError) -> LoginResponse {
        guard header.opcode != .reject else { throw .rejected(Reject(header).reason) }
        guard header.opcode == .loginResponse else {
            throw .protocolError(.unexpectedOpcode(header.opcode.rawValue))
        }
        guard header.totalAHSLength == 0, header.dataSegmentLength == dataCount else {
            throw .protocolError(
                .headerLength(
                    dataSegmentLength: header.dataSegmentLength, received: dataCount,
                    totalAHSLength: header.totalAHSLength))
        }
        let response = LoginResponse(header)
        guard response.initiatorTaskTag == options.initiatorTaskTag else {
            throw .protocolError(.initiatorTaskTag(response.initiatorTaskTag))
        }
        // With another status than success the remaining fields mean nothing.
        guard response.status == .success else { return response }
        guard response.versionActive == 0 else { throw .protocolError(.version(response.versionActive)) }
        guard response.isid == options.isid else { throw .protocolError(.isid(response.isid)) }
        if let expStatSN, response.statSN != expStatSN {
            throw .protocolError(.statSN(response.statSN, expected: expStatSN))
        }
        guard response.currentStage == stage else {
            throw .protocolError(.stage(current: header[byte: 1] >> 2 & 3))
        }
        if response.isTransit {
            guard askedToTransit else {
                throw .protocolError(.transit("leave the stage before it was asked to"))
            }
            guard !response.isContinued else { throw .protocolError(.transit("set both T and C")) }
            guard response.nextStage == Self.stage(after: stage) else {
                throw .protocolError(.transit("choose a next stage that was not asked for"))
            }
        }
        return response
    }

    private mutating func refused(_ response: LoginResponse) throws(LoginError) -> LoginStep {
        if response.status == .authenticationFailure, options.authentication.methods == TextValue.none {
            throw .authentication(.targetWantsCHAP(response.status))
        }
        if response.status == .initiatorError, security.hasResponded, let algorithm = security.algorithm {
            throw .authentication(.responseRefused(algorithm))
        }
        guard response.status.statusClass == 1 else { throw .refused(response.status) }
        let pairs = try parseCollected()
        let text = pairs.first { $0.key == TextKey.targetAddress.name }?.value
        // The portal group tag must be left out here, and some targets send it all the same.
        let address = text.flatMap { PortalAddress($0.prefix { $0 != "," }) }
        guard let address else { throw .protocolError(.noRedirectAddress(text)) }
        state = .over
        return .redirected(to: address, permanent: response.status == .targetMovedPermanently)
    }

    private mutating func advance(_ response: LoginResponse, stage: LoginStage) throws(LoginError)
        -> LoginStep
    {
        guard unsent.isEmpty else {
            guard collected.isEmpty else { throw .protocolError(.continued("answered with data")) }
            return try sendNext(stage)
        }
        if response.isContinued {
            // The T bit stays: only the text is unfinished, not what we have to say (RFC 7143 §6.3.3).
            return try sendNext(stage)
        }
        let pairs = try parseCollected()
        let answers = try negotiate(pairs, stage: stage, isEnd: response.isTransit)
        guard response.isTransit else {
            unsent = TextSegment.build(answers)[...]
            return try sendNext(stage)
        }
        switch stage {
        case .securityNegotiation:
            return begin(.loginOperationalNegotiation, with: operational.offer())
        case .loginOperationalNegotiation, .fullFeaturePhase:
            return try complete(response)
        }
    }

    private mutating func negotiate(
        _ pairs: [TextPair], stage: LoginStage, isEnd: Bool
    ) throws(LoginError) -> [TextPair] {
        var answers: [TextPair] = []
        var securityPairs: [(key: TextKey, value: String)] = []
        for pair in pairs {
            let key = TextKey(name: pair.key)
            if stage == .securityNegotiation, let key, !key.definition.isAnyStage {
                guard key.definition.use == .securityNegotiation else {
                    throw .protocolError(
                        .illegalKey(key: key.name, why: "which is no key of SecurityNegotiation"))
                }
                securityPairs.append((key, pair.value))
                continue
            }
            if isEnd, operational.needsAnswer(pair) { throw .protocolError(.proposalAtEnd(key: pair.key)) }
            if let answer = try operational.received(pair) { answers.append(answer) }
        }
        if stage == .securityNegotiation { answers += try security.received(securityPairs, isEnd: isEnd) }
        return answers
    }

    private mutating func complete(_ response: LoginResponse) throws(LoginError) -> LoginStep {
        let isNew = options.tsih == 0
        // Discovery sessions are never joined, and some targets leave their TSIH at 0.
        let isLegal =
            isNew ? response.tsih != 0 || options.sessionType == .discovery : response.tsih == options.tsih
        guard isLegal else { throw .protocolError(.tsih(response.tsih)) }
        var parameters = try operational.finish()
        parameters.chap = security.algorithm
        parameters.chapIsMutual = security.isMutual
        parameters.tsih = response.tsih
        parameters.expStatSN = response.statSN.next
        parameters.expCmdSN = response.expCmdSN
        parameters.maxCmdSN = response.maxCmdSN
        state = .over
        return .completed(parameters)
    }

    private mutating func begin(_ stage: LoginStage, with pairs: [TextPair]) -> LoginStep {
        state = .negotiating(stage)
        unsent = TextSegment.build(pairs)[...]
        do throws(LoginError) {
            return try sendNext(stage)
        } catch {
            return fail(error)
        }
    }

    /// The next request: as much of the unsent text as fits, T with the last of it if the stage can end.
    private mutating func sendNext(_ stage: LoginStage) throws(LoginError) -> LoginStep {
        guard rounds < Self.maximumRounds else { throw .protocolError(.tooManyRounds(rounds)) }
        rounds += 1
        let data = Array(unsent.prefix(Self.requestTextLength))
        unsent = unsent.dropFirst(data.count)
        let isDone = stage != .securityNegotiation || security.isReadyToTransit
        askedToTransit = unsent.isEmpty && isDone
        let request = LoginRequest(
            currentStage: stage, nextStage: askedToTransit ? Self.stage(after: stage) : nil,
            isContinued: !unsent.isEmpty, isid: options.isid, tsih: options.tsih,
            initiatorTaskTag: options.initiatorTaskTag, cid: options.cid, cmdSN: options.cmdSN,
            expStatSN: expStatSN ?? StatSN(0), dataSegmentLength: data.count)
        return .send(request.header, data: data)
    }

    private mutating func parseCollected() throws(LoginError) -> [TextPair] {
        let text = collected
        collected = []
        do throws(TextError) {
            return try TextSegment.parse(text)
        } catch {
            throw .malformedText(error)
        }
    }

    private mutating func fail(_ error: LoginError) -> LoginStep {
        state = .over
        return .failed(error)
    }

    private static func stage(after stage: LoginStage) -> LoginStage {
        stage == .securityNegotiation ? .loginOperationalNegotiation : .fullFeaturePhase
    }
}
