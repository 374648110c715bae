/// Status-Class and Status-Detail of a Login Response as one number, class first (RFC 7143 §11.13.5).
public struct LoginStatus: RawRepresentable, Equatable, BitwiseCopyable, Sendable, CustomStringConvertible {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let success = LoginStatus(rawValue: 0x0000)
    public static let targetMovedTemporarily = LoginStatus(rawValue: 0x0101)
    public static let targetMovedPermanently = LoginStatus(rawValue: 0x0102)
    public static let initiatorError = LoginStatus(rawValue: 0x0200)
    public static let authenticationFailure = LoginStatus(rawValue: 0x0201)
    public static let authorizationFailure = LoginStatus(rawValue: 0x0202)
    public static let notFound = LoginStatus(rawValue: 0x0203)
    public static let targetRemoved = LoginStatus(rawValue: 0x0204)
    public static let unsupportedVersion = LoginStatus(rawValue: 0x0205)
    public static let tooManyConnections = LoginStatus(rawValue: 0x0206)
    public static let missingParameter = LoginStatus(rawValue: 0x0207)
    public static let cannotIncludeInSession = LoginStatus(rawValue: 0x0208)
    public static let sessionTypeNotSupported = LoginStatus(rawValue: 0x0209)
    public static let sessionDoesNotExist = LoginStatus(rawValue: 0x020a)
    public static let invalidDuringLogin = LoginStatus(rawValue: 0x020b)
    public static let targetError = LoginStatus(rawValue: 0x0300)
    public static let serviceUnavailable = LoginStatus(rawValue: 0x0301)
    public static let outOfResources = LoginStatus(rawValue: 0x0302)

    public var statusClass: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 8) }
    public var detail: UInt8 { UInt8(truncatingIfNeeded: rawValue) }

    /// Class 3 only: the target saw nothing wrong with the request and may take the same one later.
    public var isRetryable: Bool { statusClass == 3 }

    /// Four hexadecimal digits, as the RFC prints the codes.
    public var code: String { hexByte(statusClass) + hexByte(detail) }

    /// What happened and what an administrator can do about it.
    public var description: String { "\(words) (login status \(code))" }

    /// What happened, without the code.
    public var words: String {
        switch self {
        case .success: "success"
        case .targetMovedTemporarily: "the target has moved for a while"
        case .targetMovedPermanently: "the target has moved for good: change the configured portal"
        case .initiatorError: "the target refused the login without a reason: see the target's log"
        case .authenticationFailure: "authentication failed: check CHAP user and secret"
        case .authorizationFailure:
            "not authorised: allow this initiator name in the target's access list"
        case .notFound:
            "the target does not know this target name: check it against what discovery lists"
        case .targetRemoved: "the target was removed and left no new address"
        case .unsupportedVersion: "the target does not speak iSCSI version 0"
        case .tooManyConnections:
            "too many connections in this session: raise the target's MaxConnections"
        case .missingParameter:
            "the target misses a parameter: initiator name or target name did not reach it"
        case .cannotIncludeInSession:
            "the portal cannot join this session: it belongs to another portal group"
        case .sessionTypeNotSupported:
            "the target does not allow this type of session (discovery or normal) to this initiator"
        case .sessionDoesNotExist: "the session to be joined no longer exists at the target"
        case .invalidDuringLogin: "the target calls a request invalid during login"
        case .targetError: "hardware or software error of the target: it may work later"
        // LIO answers so to a target name that it does not have.
        case .serviceUnavailable:
            "the target is not operational at present, or does not know this target name: check the name"
        case .outOfResources:
            "the target is out of sessions or connections: close unused ones or try later"
        default:
            switch statusClass {
            case 1: "redirection of an unknown kind"
            case 2: "the target refused the login for a reason unknown to RFC 7143: see the target's log"
            case 3: "temporary failure of the target: it may work later"
            default: "unknown login status"
            }
        }
    }
}
