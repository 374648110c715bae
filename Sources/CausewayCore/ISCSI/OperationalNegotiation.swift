/// The operational keys of one login: what was offered, what is settled, and the answers to what the target
/// proposes (RFC 7143 §6.2, §13). No key is negotiated twice.
struct OperationalNegotiation: Sendable {
    private enum KeyState { case offered(String), settled(String) }

    private let wanted: WantedParameters
    private let isDiscovery: Bool
    private let joinsSession: Bool
    private var keys: [TextKey: KeyState] = [:]
    private var unknownKeys: Set<String> = []
    private var firstBurstWasAnswered = false
    private(set) var parameters: NegotiatedParameters
    private(set) var targetAlias: String?

    init(_ options: LoginOptions) {
        isDiscovery = options.sessionType == .discovery
        joinsSession = options.tsih != 0
        if joinsSession, let session = options.session {
            parameters = session
            parameters.headerDigest = .none
            parameters.dataDigest = .none
            parameters.targetMaxRecvDataSegmentLength = 8192
            parameters.targetPortalGroupTag = nil
            wanted = WantedParameters(of: session, digests: options.wanted)
        } else {
            parameters = NegotiatedParameters()
            wanted = options.wanted
        }
    }

    /// The pairs to offer. Session-wide keys belong to the leading login; a discovery session needs few.
    mutating func offer() -> [TextPair] {
        var offered: [TextKey] = [.headerDigest, .dataDigest, .maxRecvDataSegmentLength]
        if !joinsSession { offered += [.defaultTime2Wait, .defaultTime2Retain, .errorRecoveryLevel] }
        if !joinsSession && !isDiscovery {
            offered += [
                .initialR2T, .immediateData, .maxBurstLength, .firstBurstLength, .maxOutstandingR2T,
                .dataPDUInOrder, .dataSequenceInOrder, .maxConnections,
            ]
        }
        var pairs: [TextPair] = []
        for key in offered {
            guard let value = wanted.offer(key) else { continue }
            pairs.append(TextPair(key, value))
            if key.definition.result == .declarative {
                parameters.initiatorMaxRecvDataSegmentLength = Int(value) ?? 8192
            } else {
                keys[key] = .offered(value)
            }
        }
        return pairs
    }

    /// Takes one key of the target, an answer or a proposal; returns what to answer.
    mutating func received(_ pair: TextPair) throws(LoginError) -> TextPair? {
        guard let key = TextKey(name: pair.key) else { return try unknown(pair) }
        let row = key.definition
        // Declarations of ours that a target may shrug at; without the names it cannot serve us.
        if key == .initiatorAlias || key == .sessionType, TextValue.isReservedAnswer(pair.value) {
            return nil
        }
        guard row.senders.contains(.target) else {
            throw .protocolError(.illegalKey(key: key.name, why: "which only an initiator may send"))
        }
        guard row.use != .securityNegotiation else {
            throw .protocolError(.illegalKey(key: key.name, why: "which belongs to SecurityNegotiation"))
        }
        switch keys[key] {
        case .offered(let offer):
            keys[key] = .settled(pair.value)
            try settle(key, answer: pair.value, to: offer)
            return nil
        case .settled(let value):
            // Some targets declare their portal group or alias in each stage; the same thing twice does no
            // harm.
            guard row.result == .declarative, value == pair.value else {
                throw .protocolError(.repeatedKey(key.name))
            }
            return nil
        case nil:
            keys[key] = .settled(pair.value)
            return try proposed(key, pair.value)
        }
    }

    /// Whether this pair, coming where no answer can follow, needs one.
    func needsAnswer(_ pair: TextPair) -> Bool {
        guard let key = TextKey(name: pair.key), keys[key] == nil else { return false }
        switch key.definition.result {
        case .minimum, .maximum, .firstInList: return true
        // The two cases in which an answer is optional (RFC 7143 §6.2.2).
        case .or: return pair.value != "Yes"
        case .and: return pair.value != "No"
        case .declarative, .rejected: return false
        }
    }

    /// The end of the negotiation: the rules that bind several keys.
    mutating func finish() throws(LoginError) -> NegotiatedParameters {
        settleDecisiveOffers()
        let isUsed = !parameters.initialR2T || parameters.immediateData
        if parameters.firstBurstLength > parameters.maxBurstLength {
            guard !(firstBurstWasAnswered && isUsed) else {
                throw .protocolError(
                    .firstBurstAboveMaxBurst(
                        first: parameters.firstBurstLength, max: parameters.maxBurstLength))
            }
            parameters.firstBurstLength = parameters.maxBurstLength
        }
        for key in [TextKey.headerDigest, .dataDigest] {
            let digest = key == .headerDigest ? parameters.headerDigest : parameters.dataDigest
            if wanted.offer(key) == DigestPreference.required.rawValue, digest == .none {
                throw .notAgreed(key: key.name, wanted: "CRC32C", answer: "nothing")
            }
        }
        return parameters
    }

    /// A boolean that one side decides alone needs no answer (RFC 7143 §6.2.2), and LIO gives none.
    private mutating func settleDecisiveOffers() {
        for (key, state) in keys {
            guard case .offered(let offer) = state else { continue }
            switch key.definition.result {
            case .and where offer == TextValue.text(false), .or where offer == TextValue.text(true):
                store(key, offer)
            default: break
            }
        }
    }

    /// An unknown key is answered, an unknown answer to it never: that could go on for ever.
    private mutating func unknown(_ pair: TextPair) throws(LoginError) -> TextPair? {
        guard !TextValue.isReservedAnswer(pair.value) else {
            throw .protocolError(.illegalKey(key: pair.key, why: "an answer to what was never offered"))
        }
        guard unknownKeys.insert(pair.key).inserted else { throw .protocolError(.repeatedKey(pair.key)) }
        return TextPair(pair.key, TextValue.notUnderstood)
    }

    private mutating func settle(_ key: TextKey, answer: String, to offer: String) throws(LoginError) {
        switch answer {
        case TextValue.notUnderstood:
            throw .protocolError(.notUnderstood(key: key.name))
        case TextValue.reject, TextValue.irrelevant:
            // The key stays at its default; `finish` sees to defaults that will not do.
            if key.definition.result == .firstInList, TextValue.list(offer)?.contains(TextValue.none) != true
            {
                throw .notAgreed(key: key.name, wanted: offer, answer: answer)
            }
        default:
            guard key.definition.isLegal(answer: answer, to: offer) else {
                // A target without the digest says None even where None was not offered: a matter of
                // settings.
                if answer == TextValue.none { throw .notAgreed(key: key.name, wanted: offer, answer: answer) }
                throw .protocolError(.illegalAnswer(key: key.name, offered: offer, answer: answer))
            }
            if key == .firstBurstLength { firstBurstWasAnswered = true }
            store(key, answer)
        }
    }

    private mutating func proposed(_ key: TextKey, _ value: String) throws(LoginError) -> TextPair? {
        let row = key.definition
        switch row.result {
        case .rejected:
            return TextValue.isReservedAnswer(value) ? nil : TextPair(key, TextValue.reject)
        case .declarative:
            guard row.use != .fullFeaturePhaseOnly else {
                throw .protocolError(.illegalKey(key: key.name, why: "which has no place in a login"))
            }
            guard row.isWellFormed(value) else {
                throw .protocolError(.illegalDeclaration(key: key.name, value: value))
            }
            store(key, value)
            return nil
        default:
            guard !TextValue.isReservedAnswer(value) else {
                throw .protocolError(.illegalKey(key: key.name, why: "an answer to what was never offered"))
            }
            if isDiscovery, row.irrelevantWhen.contains(.discoverySession) {
                return TextPair(key, TextValue.irrelevant)
            }
            guard let own = wanted.offer(key), let answer = row.answer(to: value, wanted: own) else {
                return TextPair(key, TextValue.notUnderstood)
            }
            if answer != TextValue.reject { store(key, answer) }
            return TextPair(key, answer)
        }
    }

    /// Keeps a value that has passed the checks of its row. A session's values are those of its leading
    /// login.
    private mutating func store(_ key: TextKey, _ text: String) {
        if joinsSession, key.definition.use == .leadingOnly { return }
        let number = Int(clamping: TextValue.number(text) ?? 0)
        let yes = text == "Yes"
        switch key {
        case .headerDigest: parameters.headerDigest = text == "CRC32C" ? .crc32c : .none
        case .dataDigest: parameters.dataDigest = text == "CRC32C" ? .crc32c : .none
        case .initialR2T: parameters.initialR2T = yes
        case .immediateData: parameters.immediateData = yes
        case .maxRecvDataSegmentLength: parameters.targetMaxRecvDataSegmentLength = number
        case .maxBurstLength: parameters.maxBurstLength = number
        case .firstBurstLength: parameters.firstBurstLength = number
        case .maxOutstandingR2T: parameters.maxOutstandingR2T = number
        case .dataPDUInOrder: parameters.dataPDUInOrder = yes
        case .dataSequenceInOrder: parameters.dataSequenceInOrder = yes
        case .errorRecoveryLevel: parameters.errorRecoveryLevel = number
        case .defaultTime2Wait: parameters.defaultTime2Wait = number
        case .defaultTime2Retain: parameters.defaultTime2Retain = number
        case .maxConnections: parameters.maxConnections = number
        case .iscsiProtocolLevel: parameters.iscsiProtocolLevel = number
        case .targetPortalGroupTag: parameters.targetPortalGroupTag = UInt16(clamping: number)
        case .targetAlias: targetAlias = text
        default: break
        }
    }
}
