/// The SecurityNegotiation stage of a login (RFC 7143 §6.3.2, §12.1): a machine of its own inside the login
/// machine, which only carries its pairs to and fro.
///
///     methodsOffered ─ CHAP ─► algorithmsOffered ─ A, I, C ─► responded ─ N, R ─► done
///            └────────────────────── None ───────────────────────────────────────▲
struct SecurityNegotiation: Sendable {
    private enum State {
        /// AuthMethod is offered. Can move to: algorithmsOffered, done.
        case methodsOffered
        /// CHAP_A is offered. Can move to: responded.
        case algorithmsOffered
        /// The target's challenge is answered; its own proof may be due. Can move to: done.
        case responded(Due?)
        case done
    }

    /// The proof that the target owes.
    private struct Due {
        var algorithm: CHAPAlgorithm
        var identifier: UInt8
        var challenge: [UInt8]
        /// What this side sent, which must not come back.
        var response: [UInt8]
    }

    /// Bytes of a challenge of ours: 128 bits nobody can guess, and short enough for every target.
    static let challengeByteCount = 16

    private var state = State.methodsOffered
    private var authentication: Authentication
    /// What the target chose.
    private(set) var algorithm: CHAPAlgorithm?
    /// The target has answered a challenge of ours.
    private(set) var isMutual = false
    /// The challenges of this login.
    private(set) var challenges: [[UInt8]] = []
    /// This side's response is on its way: what follows is the target's judgement.
    var hasResponded: Bool { if case .responded = state { true } else { false } }

    init(_ authentication: Authentication) { self.authentication = authentication }

    /// Nothing more to say: the T bit may be set.
    var isReadyToTransit: Bool {
        switch state {
        // With nothing to prove, the offer is all there is to say.
        case .methodsOffered: authentication.methods == TextValue.none
        case .algorithmsOffered: false
        case .responded, .done: true
        }
    }

    /// Challenges that no login may use again, as of now.
    mutating func know(_ challenges: [[UInt8]]) {
        guard case .chap(var options) = authentication else { return }
        options.knownChallenges = challenges
        authentication = .chap(options)
    }

    func offer() -> [TextPair] { [TextPair(.authMethod, authentication.methods)] }

    /// Takes the security keys of one response; returns what to answer.
    ///
    /// - Parameter isEnd: the target ends the stage with it.
    mutating func received(
        _ pairs: [(key: TextKey, value: String)], isEnd: Bool
    ) throws(LoginError) -> [TextPair] {
        var keys = Keys(pairs: [:])
        for pair in pairs { try keys.add(pair.key, pair.value) }
        let answer = try advance(&keys)
        if let left = keys.pairs.keys.min(by: { $0.rawValue < $1.rawValue }) {
            throw .protocolError(.illegalKey(key: left.name, why: "out of turn in the authentication"))
        }
        if isEnd, case .responded = state { state = .done }
        return answer
    }

    private mutating func advance(_ keys: inout Keys) throws(LoginError) -> [TextPair] {
        switch state {
        case .methodsOffered: return try choseMethod(&keys)
        case .algorithmsOffered: return try challenged(&keys)
        case .responded(let due):
            guard let due, case .chap(let options) = authentication else { return [] }
            try judge(due, options, &keys)
            state = .done
            return []
        case .done: return []
        }
    }

    private mutating func choseMethod(_ keys: inout Keys) throws(LoginError) -> [TextPair] {
        guard let value = keys.take(.authMethod) else {
            // A target that has nothing to ask may let it be; one that was offered CHAP has to choose.
            if isReadyToTransit {
                return []
            }
            throw .protocolError(.missingKey(TextKey.authMethod.name))
        }
        let methods = authentication.methods
        let isOffered = TextValue.list(methods)?.contains(value) == true
        switch (value, authentication) {
        case (TextValue.none, _) where isOffered:
            state = .done
            return []
        case ("CHAP", .chap(let options)) where isOffered:
            state = .algorithmsOffered
            let numbers = options.algorithms.map { "\($0.rawValue)" }
            return [TextPair(.chapA, numbers.joined(separator: ","))]
        default:
            // A target that wants CHAP may propose it instead of refusing.
            if methods == TextValue.none, TextValue.list(value)?.contains("CHAP") == true {
                throw .authentication(.targetWantsCHAP(nil))
            }
            if TextValue.isReservedAnswer(value) || value == TextValue.none {
                guard methods != TextValue.none else {
                    throw .notAgreed(key: TextKey.authMethod.name, wanted: methods, answer: value)
                }
                throw .authentication(.targetHasNoCHAP(answer: value))
            }
            throw .protocolError(.unofferedAuthMethod(value))
        }
    }

    /// CHAP_A, CHAP_I and CHAP_C of the target; the answer is CHAP_N and CHAP_R, and a challenge of our own
    /// where the target has to prove who it is.
    private mutating func challenged(_ keys: inout Keys) throws(LoginError) -> [TextPair] {
        guard case .chap(let options) = authentication else { return [] }
        let offered = options.algorithms.map { "\($0)" }.joined(separator: ", ")
        let chosen = try keys.required(.chapA)
        if TextValue.isReservedAnswer(chosen) { throw .authentication(.noCommonAlgorithm(offered: offered)) }
        guard let number = TextValue.number(chosen), number <= 255,
            let algorithm = CHAPAlgorithm(rawValue: UInt8(number)), options.algorithms.contains(algorithm)
        else {
            throw .protocolError(
                .illegalAnswer(
                    key: TextKey.chapA.name,
                    offered: options.algorithms.map { "\($0.rawValue)" }.joined(separator: ","),
                    answer: chosen))
        }
        self.algorithm = algorithm
        let identifier = try keys.identifier()
        let challenge = try keys.binary(.chapC)
        guard !options.knownChallenges.contains(challenge) else { throw .authentication(.challengeReused) }
        challenges.append(challenge)
        let response = try hash(algorithm, identifier, options.secret, challenge, options)
        var answer = [TextPair(.chapN, options.user), TextPair(.chapR, TextValue.hexadecimal(response))]
        guard options.asksTarget else {
            state = .responded(nil)
            return answer
        }
        let own = options.functions.randomBytes(Self.challengeByteCount + 1)
        guard own.count == Self.challengeByteCount + 1, let ownIdentifier = own.first,
            case let ownChallenge = Array(own.dropFirst()), ownChallenge != challenge,
            !options.knownChallenges.contains(ownChallenge)
        else { throw .authentication(.randomness) }
        challenges.append(ownChallenge)
        answer.append(TextPair(.chapI, "\(ownIdentifier)"))
        answer.append(TextPair(.chapC, TextValue.hexadecimal(ownChallenge)))
        state = .responded(
            Due(algorithm: algorithm, identifier: ownIdentifier, challenge: ownChallenge, response: response))
        return answer
    }

    /// CHAP_N and CHAP_R of the target.
    private mutating func judge(_ due: Due, _ options: CHAPOptions, _ keys: inout Keys) throws(LoginError) {
        guard let mutualSecret = options.mutualSecret else { return }
        guard keys.pairs[.chapN] != nil || keys.pairs[.chapR] != nil else {
            guard options.mutualLevel != .required else { throw .authentication(.targetProvesNothing) }
            return
        }
        let name = try keys.required(.chapN)
        let response = try keys.binary(.chapR)
        let expected = try hash(due.algorithm, due.identifier, mutualSecret, due.challenge, options)
        let reflected = try hash(due.algorithm, due.identifier, options.secret, due.challenge, options)
        // RFC 7143 §9.2.1.
        if Self.isSame(response, reflected) || Self.isSame(response, due.response) {
            throw .authentication(.responseReflected)
        }
        guard Self.isSame(response, expected) else { throw .authentication(.wrongResponse(due.algorithm)) }
        if let wanted = options.mutualUser, wanted != name {
            throw .authentication(.wrongTargetName(name, expected: wanted))
        }
        isMutual = true
    }

    private func hash(
        _ algorithm: CHAPAlgorithm, _ identifier: UInt8, _ secret: CHAPSecret, _ challenge: [UInt8],
        _ options: CHAPOptions
    ) throws(LoginError) -> [UInt8] {
        do throws(CHAPHashError) {
            return try options.functions.hash(algorithm, identifier, secret, challenge)
        } catch {
            throw .authentication(.hash(algorithm, reason: error.reason))
        }
    }

    /// Takes the same time wherever two texts of one length differ.
    static func isSame(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && zip(a, b).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// The security keys of one response, whatever their order.
    private struct Keys {
        var pairs: [TextKey: String]

        mutating func add(_ key: TextKey, _ value: String) throws(LoginError) {
            guard pairs.updateValue(value, forKey: key) == nil else {
                throw .protocolError(.repeatedKey(key.name))
            }
        }

        mutating func take(_ key: TextKey) -> String? { pairs.removeValue(forKey: key) }

        mutating func required(_ key: TextKey) throws(LoginError) -> String {
            guard let value = take(key) else { throw .protocolError(.missingKey(key.name)) }
            return value
        }

        mutating func identifier() throws(LoginError) -> UInt8 {
            let value = try required(.chapI)
            guard let number = TextValue.number(value), let identifier = UInt8(exactly: number) else {
                throw .protocolError(.illegalDeclaration(key: TextKey.chapI.name, value: value))
            }
            return identifier
        }

        mutating func binary(_ key: TextKey) throws(LoginError) -> [UInt8] {
            guard let bytes = TextValue.binary(try required(key), maximumByteCount: 1024) else {
                throw .protocolError(
                    .illegalKey(key: key.name, why: "which is malformed or longer than 1024 bytes"))
            }
            return bytes
        }
    }
}
