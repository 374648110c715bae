/// The keys of RFC 7143 §12 and §13 and of RFC 7144 §7, in the order of `TextKey.table`.
public enum TextKey: Int, CaseIterable, Hashable, BitwiseCopyable, Sendable {
    case headerDigest, dataDigest, maxConnections, sendTargets, targetName, initiatorName, targetAlias
    case initiatorAlias, targetAddress, targetPortalGroupTag, initialR2T, immediateData
    case maxRecvDataSegmentLength, maxBurstLength, firstBurstLength, defaultTime2Wait, defaultTime2Retain
    case maxOutstandingR2T, dataPDUInOrder, dataSequenceInOrder, errorRecoveryLevel, sessionType
    case taskReporting, iscsiProtocolLevel, nodeArchitecture, ifMarker, ofMarker, ifMarkInt, ofMarkInt
    case authMethod, chapA, chapI, chapC, chapN, chapR

    public var definition: TextKeyDefinition { Self.table[rawValue] }
    public var name: String { definition.name }

    /// Keys are case-sensitive.
    public init?(name: String) {
        guard let key = Self.table.first(where: { $0.name == name })?.key else { return nil }
        self = key
    }
}

/// One row: all that the standard says of a key.
public struct TextKeyDefinition: Sendable {
    /// The format of the value, with its range.
    public enum Format: Equatable, Sendable {
        case boolean
        case number(ClosedRange<UInt64>)
        /// The values that RFC 7143 gives; none for vendor lists.
        case list([String])
        /// One of these, chosen by the declarer.
        case choice([String])
        case name
        case localName
        case address
        case binary(maximumByteCount: Int)
        case text
    }

    /// How the answer follows from the offer (RFC 7143 §13).
    public enum Result: Sendable {
        case minimum, maximum, and, or, firstInList, declarative
        /// No longer negotiated: any offer is answered `Reject` (RFC 7143 §13.25).
        case rejected
    }

    public enum Use: Sendable {
        /// LO: only in the first login of a session.
        case leadingOnly
        /// IO: only during login.
        case initializeOnly
        /// ALL: during login and in the Full Feature Phase.
        case all
        /// FFPO: only in the Full Feature Phase.
        case fullFeaturePhaseOnly
        /// Only in the SecurityNegotiation stage (§12).
        case securityNegotiation
    }

    public struct Senders: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let initiator = Senders(rawValue: 1)
        public static let target = Senders(rawValue: 2)
        public static let both: Senders = [.initiator, .target]
    }

    public enum Scope: Sendable { case session, connection }

    /// When the key has no meaning and `Irrelevant` is a fitting answer.
    public struct Irrelevance: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let discoverySession = Irrelevance(rawValue: 1)
        /// InitialR2T=Yes and ImmediateData=No.
        public static let noUnsolicitedData = Irrelevance(rawValue: 2)
    }

    public let key: TextKey
    public let name: String
    public let format: Format
    /// As text; nil where the standard has none.
    public let defaultValue: String?
    public let result: Result
    public let use: Use
    public let senders: Senders
    public let scope: Scope
    /// May also appear in the SecurityNegotiation stage.
    public let isAnyStage: Bool
    public let irrelevantWhen: Irrelevance

    init(
        _ key: TextKey, _ name: String, _ format: Format, default defaultValue: String? = nil,
        _ result: Result,
        _ use: Use, _ senders: Senders = .both, _ scope: Scope = .session, anyStage: Bool = false,
        irrelevantWhen: Irrelevance = []
    ) {
        self.key = key
        self.name = name
        self.format = format
        self.defaultValue = defaultValue
        self.result = result
        self.use = use
        self.senders = senders
        self.scope = scope
        self.isAnyStage = anyStage
        self.irrelevantWhen = irrelevantWhen
    }

    /// The range of a number key.
    public var range: ClosedRange<UInt64>? { if case .number(let range) = format { range } else { nil } }
}

extension TextKey {
    private static let bytes: TextKeyDefinition.Format = .number(512...(1 << 24 - 1))
    private static let count: TextKeyDefinition.Format = .number(1...65535)
    private static let seconds: TextKeyDefinition.Format = .number(0...3600)
    private static let digests: TextKeyDefinition.Format = .list(["CRC32C", "None"])

    /// The one place where the keys are described; a test holds it against the order of the cases.
    public static let table: [TextKeyDefinition] = [
        .init(
            .headerDigest, "HeaderDigest", digests, default: "None", .firstInList, .initializeOnly, .both,
            .connection),
        .init(
            .dataDigest, "DataDigest", digests, default: "None", .firstInList, .initializeOnly, .both,
            .connection),
        .init(
            .maxConnections, "MaxConnections", count, default: "1", .minimum, .leadingOnly,
            irrelevantWhen: .discoverySession),
        .init(.sendTargets, "SendTargets", .text, .declarative, .fullFeaturePhaseOnly, .initiator),
        .init(.targetName, "TargetName", .name, .declarative, .initializeOnly, .both, anyStage: true),
        .init(
            .initiatorName, "InitiatorName", .name, .declarative, .initializeOnly, .initiator,
            anyStage: true),
        .init(.targetAlias, "TargetAlias", .localName, .declarative, .all, .target, anyStage: true),
        .init(.initiatorAlias, "InitiatorAlias", .localName, .declarative, .all, .initiator, anyStage: true),
        .init(.targetAddress, "TargetAddress", .address, .declarative, .all, .target, anyStage: true),
        .init(
            .targetPortalGroupTag, "TargetPortalGroupTag", .number(0...65535), .declarative, .initializeOnly,
            .target,
            anyStage: true),
        .init(
            .initialR2T, "InitialR2T", .boolean, default: "Yes", .or, .leadingOnly,
            irrelevantWhen: .discoverySession),
        .init(
            .immediateData, "ImmediateData", .boolean, default: "Yes", .and, .leadingOnly,
            irrelevantWhen: .discoverySession),
        .init(
            .maxRecvDataSegmentLength, "MaxRecvDataSegmentLength", bytes, default: "8192", .declarative, .all,
            .both,
            .connection),
        .init(
            .maxBurstLength, "MaxBurstLength", bytes, default: "262144", .minimum, .leadingOnly,
            irrelevantWhen: .discoverySession),
        .init(
            .firstBurstLength, "FirstBurstLength", bytes, default: "65536", .minimum, .leadingOnly,
            irrelevantWhen: [.discoverySession, .noUnsolicitedData]),
        .init(.defaultTime2Wait, "DefaultTime2Wait", seconds, default: "2", .maximum, .leadingOnly),
        .init(.defaultTime2Retain, "DefaultTime2Retain", seconds, default: "20", .minimum, .leadingOnly),
        .init(
            .maxOutstandingR2T, "MaxOutstandingR2T", count, default: "1", .minimum, .leadingOnly,
            irrelevantWhen: .discoverySession),
        .init(
            .dataPDUInOrder, "DataPDUInOrder", .boolean, default: "Yes", .or, .leadingOnly,
            irrelevantWhen: .discoverySession),
        .init(
            .dataSequenceInOrder, "DataSequenceInOrder", .boolean, default: "Yes", .or, .leadingOnly,
            irrelevantWhen: .discoverySession),
        .init(
            .errorRecoveryLevel, "ErrorRecoveryLevel", .number(0...2), default: "0", .minimum, .leadingOnly),
        .init(
            .sessionType, "SessionType", .choice(["Normal", "Discovery"]), default: "Normal", .declarative,
            .leadingOnly, .initiator, anyStage: true),
        .init(
            .taskReporting, "TaskReporting", .list(["RFC3720", "ResponseFence", "FastAbort"]),
            default: "RFC3720",
            .firstInList, .leadingOnly, irrelevantWhen: .discoverySession),
        .init(
            .iscsiProtocolLevel, "iSCSIProtocolLevel", .number(0...31), default: "1", .minimum, .leadingOnly,
            irrelevantWhen: .discoverySession),
        .init(.nodeArchitecture, "X#NodeArchitecture", .list([]), .declarative, .all),
        .init(.ifMarker, "IFMarker", .boolean, default: "No", .rejected, .initializeOnly, .both, .connection),
        .init(.ofMarker, "OFMarker", .boolean, default: "No", .rejected, .initializeOnly, .both, .connection),
        .init(.ifMarkInt, "IFMarkInt", .text, .rejected, .initializeOnly, .both, .connection),
        .init(.ofMarkInt, "OFMarkInt", .text, .rejected, .initializeOnly, .both, .connection),
        .init(
            .authMethod, "AuthMethod", .list(["CHAP", "SRP", "KRB5", "None"]), .firstInList,
            .securityNegotiation,
            .both, .connection),
        .init(.chapA, "CHAP_A", .list([]), .firstInList, .securityNegotiation, .both, .connection),
        .init(.chapI, "CHAP_I", .number(0...255), .declarative, .securityNegotiation, .both, .connection),
        .init(
            .chapC, "CHAP_C", .binary(maximumByteCount: 1024), .declarative, .securityNegotiation, .both,
            .connection),
        .init(.chapN, "CHAP_N", .text, .declarative, .securityNegotiation, .both, .connection),
        .init(
            .chapR, "CHAP_R", .binary(maximumByteCount: 1024), .declarative, .securityNegotiation, .both,
            .connection),
    ]
}

extension TextKeyDefinition {
    /// Whether `answer` is a possible outcome of `offer` under the key's result function, and inside its
    /// range. `Reject`, `Irrelevant` and `NotUnderstood` are not outcomes: look for them before.
    public func isLegal(answer: String, to offer: String) -> Bool {
        switch result {
        case .minimum, .maximum:
            guard let chosen = number(answer), let range, range.contains(chosen) else { return false }
            if let offered = TextValue.number(offer) {
                return result == .minimum ? chosen <= offered : chosen >= offered
            }
            return TextValue.range(offer)?.contains(chosen) ?? false
        case .or, .and:
            guard let chosen = TextValue.boolean(answer), let offered = TextValue.boolean(offer) else {
                return false
            }
            let decisive = result == .or
            return offered != decisive || chosen == decisive
        case .firstInList:
            return TextValue.list(offer)?.contains(answer) ?? false
        case .declarative: return isWellFormed(answer)
        case .rejected: return false
        }
    }

    /// What to answer when the peer offers `offer` and `wanted` is what this side would have offered (for a
    /// list: all that it accepts). `Reject` for an offer that is malformed or out of range; nil for a
    /// declaration.
    public func answer(to offer: String, wanted: String) -> String? {
        switch result {
        case .declarative: return nil
        case .rejected: return TextValue.reject
        case .minimum, .maximum:
            guard let own = TextValue.number(wanted), let range else { return TextValue.reject }
            if let offered = number(offer) {
                guard range.contains(offered) else { return TextValue.reject }
                return String(result == .minimum ? min(offered, own) : max(offered, own))
            }
            guard let offered = TextValue.range(offer), range.contains(offered.lowerBound),
                range.contains(offered.upperBound)
            else { return TextValue.reject }
            return String(min(max(own, offered.lowerBound), offered.upperBound))
        case .or, .and:
            guard let offered = TextValue.boolean(offer), let own = TextValue.boolean(wanted) else {
                return TextValue.reject
            }
            return TextValue.text(result == .or ? offered || own : offered && own)
        case .firstInList:
            guard let offered = TextValue.list(offer), let accepted = TextValue.list(wanted) else {
                return TextValue.reject
            }
            return offered.first(where: accepted.contains) ?? TextValue.reject
        }
    }

    /// Whether a declared value is of the key's format and inside its range.
    public func isWellFormed(_ text: String) -> Bool {
        switch format {
        case .boolean: TextValue.boolean(text) != nil
        case .number(let range): number(text).map(range.contains) ?? false
        case .list: TextValue.list(text) != nil
        case .choice(let choices): choices.contains(text)
        case .binary(let maximum): TextValue.binary(text, maximumByteCount: maximum) != nil
        case .name: (try? ISCSIName(text)) != nil
        case .localName, .address, .text: true
        }
    }

    private func number(_ text: String) -> UInt64? { TextValue.number(text) }
}
