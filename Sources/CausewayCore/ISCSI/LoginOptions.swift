/// How this side stands to a digest: the list that it offers, the preferred first.
public enum DigestPreference: String, BitwiseCopyable, Sendable {
    case prohibited = "None"
    case discouraged = "None,CRC32C"
    case preferred = "CRC32C,None"
    case required = "CRC32C"
}

/// What to ask for. The defaults are chosen for speed; the target lowers what it cannot do. Lengths in bytes,
/// times in seconds; values outside the range of `TextKey.table` are brought into it.
public struct WantedParameters: Equatable, BitwiseCopyable, Sendable {
    public var headerDigest = DigestPreference.prohibited
    public var dataDigest = DigestPreference.prohibited
    public var initialR2T = false
    public var immediateData = true
    public var maxRecvDataSegmentLength = 262_144
    public var maxBurstLength = 1_048_576
    public var firstBurstLength = 262_144
    public var maxOutstandingR2T = 16
    public var dataPDUInOrder = true
    public var dataSequenceInOrder = true
    public var errorRecoveryLevel = 0
    public var defaultTime2Wait = 2
    /// Not 0: while the target keeps the state of a lost session, a login with the same ISID is a
    /// reinstatement, which must end the old tasks before it is answered. With 0 the target may forget the
    /// session while its writes still run, and the new login would prove nothing.
    public var defaultTime2Retain = 20
    public var maxConnections = 1

    public init() {}

    /// The value of a key as this side would offer it, or nil for a key that is not negotiated through here.
    func offer(_ key: TextKey) -> String? {
        switch key {
        case .headerDigest: headerDigest.rawValue
        case .dataDigest: dataDigest.rawValue
        case .initialR2T: TextValue.text(initialR2T)
        case .immediateData: TextValue.text(immediateData)
        case .maxRecvDataSegmentLength: inRange(maxRecvDataSegmentLength, key)
        case .maxBurstLength: inRange(maxBurstLength, key)
        case .firstBurstLength: inRange(min(firstBurstLength, maxBurstLength), key)
        // RFC 7143 §13.19: recovery with sequences in order knows only one R2T.
        case .maxOutstandingR2T:
            inRange(errorRecoveryLevel > 0 && dataSequenceInOrder ? 1 : maxOutstandingR2T, key)
        case .dataPDUInOrder: TextValue.text(dataPDUInOrder)
        case .dataSequenceInOrder: TextValue.text(dataSequenceInOrder)
        case .errorRecoveryLevel: inRange(errorRecoveryLevel, key)
        case .defaultTime2Wait: inRange(defaultTime2Wait, key)
        case .defaultTime2Retain: inRange(defaultTime2Retain, key)
        case .maxConnections: inRange(maxConnections, key)
        // Neither is offered; these are the answers to a target that does.
        case .taskReporting: "RFC3720"
        case .iscsiProtocolLevel: "1"
        default: nil
        }
    }

    private func inRange(_ value: Int, _ key: TextKey) -> String {
        guard let range = key.definition.range else { return String(value) }
        return String(min(max(UInt64(max(value, 0)), range.lowerBound), range.upperBound))
    }

    /// The values of a session that a further connection joins, as answers to a target that asks again.
    init(of session: NegotiatedParameters, digests: WantedParameters) {
        self = digests
        initialR2T = session.initialR2T
        immediateData = session.immediateData
        maxBurstLength = session.maxBurstLength
        firstBurstLength = session.firstBurstLength
        maxOutstandingR2T = session.maxOutstandingR2T
        dataPDUInOrder = session.dataPDUInOrder
        dataSequenceInOrder = session.dataSequenceInOrder
        errorRecoveryLevel = session.errorRecoveryLevel
        defaultTime2Wait = session.defaultTime2Wait
        defaultTime2Retain = session.defaultTime2Retain
        maxConnections = session.maxConnections
    }
}

/// Everything that a login needs to know.
public struct LoginOptions: Sendable {
    public enum SessionType: String, Sendable {
        case normal = "Normal"
        case discovery = "Discovery"
    }

    public var initiatorName: ISCSIName
    /// ``isAlias(_:)``
    public var initiatorAlias: String?
    /// Needed for a normal session; for discovery it may be left out.
    public var targetName: ISCSIName?
    public var sessionType = SessionType.normal
    public var isid: InitiatorSessionID
    /// 0 makes a new session, or reinstates the one with this ISID.
    public var tsih: UInt16 = 0
    /// What the leading connection negotiated; needed when `tsih` is not 0.
    public var session: NegotiatedParameters?
    public var cid: UInt16 = 0
    /// The first CmdSN of a new session, or the current one of the session that is joined.
    public var cmdSN = CmdSN(1)
    public var initiatorTaskTag: UInt32 = 0
    public var wanted = WantedParameters()
    public var authentication = Authentication.none
    /// Begin at LoginOperationalNegotiation: legal, one round trip fewer, and refused with 0201 by targets
    /// that want a SecurityNegotiation stage. No common initiator does it, so it is off unless asked for.
    public var skipsSecurityNegotiation = false

    /// A text of 1 to 255 bytes without NUL (RFC 7143 §13.7).
    public static func isAlias(_ text: String) -> Bool {
        (1...255).contains(text.utf8.count) && !text.utf8.contains(0)
    }

    public init(initiatorName: ISCSIName, targetName: ISCSIName?, isid: InitiatorSessionID) {
        self.initiatorName = initiatorName
        self.targetName = targetName
        self.isid = isid
    }
}
