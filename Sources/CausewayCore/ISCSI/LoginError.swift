/// Why a login failed: what, where, whose fault, and what to do.
public enum LoginError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The target answered with a status of class 2 or 3 (or an unusable redirection).
    case refused(LoginStatus)
    /// The target rejected a Login Request as a PDU.
    case rejected(Reject.Reason)
    /// The target closed the connection in the middle of the login.
    case connectionClosed(during: LoginStage)
    /// Our settings and the target's do not meet.
    case notAgreed(key: String, wanted: String, answer: String)
    /// One side does not prove to the other who it is.
    case authentication(AuthenticationError)
    /// The options cannot make a login.
    case options(String)
    case malformedText(TextError)
    /// The target breaks RFC 7143.
    case protocolError(ProtocolViolation)

    public enum ProtocolViolation: Equatable, Sendable, CustomStringConvertible {
        case unexpectedOpcode(UInt8)
        case headerLength(dataSegmentLength: Int, received: Int, totalAHSLength: Int)
        case initiatorTaskTag(UInt32)
        case isid(InitiatorSessionID)
        case tsih(UInt16)
        case version(UInt8)
        case statSN(StatSN, expected: StatSN)
        case stage(current: UInt8)
        case transit(String)
        case continued(String)
        case illegalAnswer(key: String, offered: String, answer: String)
        case notUnderstood(key: String)
        case illegalDeclaration(key: String, value: String)
        case illegalKey(key: String, why: String)
        case repeatedKey(String)
        case missingKey(String)
        case unofferedAuthMethod(String)
        case proposalAtEnd(key: String)
        case firstBurstAboveMaxBurst(first: Int, max: Int)
        case noRedirectAddress(String?)
        case tooManyRounds(Int)
        case afterEnd

        public var description: String {
            switch self {
            case .unexpectedOpcode(let opcode):
                "it sent opcode 0x\(hexByte(opcode)) instead of a Login Response"
            case .headerLength(let length, let received, let ahs):
                "its header announces \(length) bytes of data and \(ahs) words of AHS; \(received) bytes came"
            case .initiatorTaskTag(let tag): "it answered with Initiator Task Tag \(tag), which was not sent"
            case .isid(let isid): "it answered for another session, ISID \(isid)"
            case .tsih(let tsih): "its TSIH \(tsih) does not fit the session"
            case .version(let version): "it claims iSCSI version \(version); only version 0 exists"
            case .statSN(let statSN, let expected): "its StatSN is \(statSN) instead of \(expected)"
            case .stage(let current): "it answered for login stage \(current), which is not the current one"
            case .transit(let what): "it may not \(what)"
            case .continued(let what): "it \(what) while text is continued"
            case .illegalAnswer(let key, let offered, let answer):
                "it answered \(printable(key))=\(printable(answer)) to the offer \(printable(offered))"
            case .notUnderstood(let key): "it does not understand \(key), which RFC 7143 demands"
            case .illegalDeclaration(let key, let value):
                "it declared \(printable(key))=\(printable(value)), which is malformed or out of range"
            case .illegalKey(let key, let why): "it sent \(printable(key)), \(why)"
            case .repeatedKey(let key): "it negotiated \(printable(key)) twice"
            case .missingKey(let key): "it did not send \(key)"
            case .unofferedAuthMethod(let method):
                "it chose AuthMethod \(printable(method)), which was not offered"
            case .proposalAtEnd(let key): "it ended the stage while it proposed \(printable(key))"
            case .firstBurstAboveMaxBurst(let first, let max):
                "its FirstBurstLength \(first) exceeds its MaxBurstLength \(max)"
            case .noRedirectAddress(let text):
                "it redirected to no usable address\(text.map { " (\"\(printable($0))\")" } ?? "")"
            case .tooManyRounds(let rounds): "its login did not end after \(rounds) rounds"
            case .afterEnd: "it went on after the end of the login"
            }
        }
    }

    /// Whether the same login may work later without anyone changing anything.
    public var isRetryable: Bool {
        switch self {
        case .refused(let status): status.isRetryable
        case .rejected(let reason): reason.mayResend
        case .connectionClosed: true
        case .notAgreed, .authentication, .options, .malformedText, .protocolError: false
        }
    }

    public var description: String {
        switch self {
        case .refused(let status): status.description
        case .rejected(let reason): "the target rejected the Login Request: \(reason)"
        case .connectionClosed(during: .securityNegotiation):
            """
            the target closed the connection during SecurityNegotiation: some targets do so when they want \
            CHAP and none is configured (user and secret-file under [chap]), or when they do not know the \
            initiator name
            """
        case .connectionClosed(let stage): "the target closed the connection during \(stage)"
        case .notAgreed(let key, let wanted, let answer):
            """
            no agreement on \(key): wanted \(wanted), the target answers \(printable(answer)); \
            change the setting here or at the target
            """
        case .authentication(let error): error.description
        case .options(let why): "the login cannot be made: \(why)"
        case .malformedText(let error): error.description
        case .protocolError(let violation): "the target breaks the iSCSI protocol: \(violation)"
        }
    }
}
