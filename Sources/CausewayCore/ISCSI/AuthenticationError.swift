/// Why this side ended a login for reasons of authentication.
public enum AuthenticationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The target wants CHAP; the status that said so, if one did.
    case targetWantsCHAP(LoginStatus?)
    /// CHAP is required here, and the target answers something else.
    case targetHasNoCHAP(answer: String)
    case noCommonAlgorithm(offered: String)
    /// A challenge of an earlier login, of the target's or of this side's own.
    case challengeReused
    /// The target answers with what this side's own secret makes of the challenge.
    case responseReflected
    /// The target ended the login after this side's response, with a status that does not say why.
    case responseRefused(CHAPAlgorithm)
    case wrongResponse(CHAPAlgorithm)
    /// The target was asked to prove who it is, and did not.
    case targetProvesNothing
    case wrongTargetName(String, expected: String)
    case hash(CHAPAlgorithm, reason: String)
    /// The source of randomness gave what the target's challenge was.
    case randomness

    public var description: String {
        switch self {
        case .targetWantsCHAP(let status):
            """
            the target wants CHAP and none is configured for it\(Self.suffix(status)): \
            set user and secret-file under [chap], or give --chap-user and --chap-secret-file
            """
        case .targetHasNoCHAP(let answer):
            """
            CHAP is required here and the target answers \(printable(answer)): configure CHAP at the target, \
            or set level = "preferred" under [chap]
            """
        case .noCommonAlgorithm(let offered):
            "the target takes none of the CHAP algorithms \(offered): allow another under [chap] algorithms"
        case .challengeReused:
            "the target repeats a CHAP challenge of an earlier login: someone may be replaying it"
        case .responseReflected:
            """
            the target answers the CHAP challenge with this side's own secret: someone may be reflecting it, \
            or the target has the same secret for both directions
            """
        case .responseRefused(let algorithm):
            """
            the target refuses this side's CHAP response (\(algorithm), login status 0200): \
            check CHAP user and secret\(Self.hint(algorithm))
            """
        case .wrongResponse(let algorithm):
            """
            the target does not prove who it is: its CHAP response (\(algorithm)) is wrong; \
            check the target's secret (mutual-secret-file under [chap])
            """
        case .targetProvesNothing:
            """
            the target does not prove who it is although that is required: \
            configure mutual CHAP at the target
            """
        case .wrongTargetName(let name, let expected):
            """
            the target calls itself \(printable(name)) in CHAP, not \(printable(expected)): \
            check mutual-user under [chap]
            """
        case .hash(let algorithm, let reason):
            """
            \(algorithm) cannot be computed here: \(reason); \
            leave \(algorithm) out of algorithms under [chap]
            """
        case .randomness: "the random numbers of this machine are not random"
        }
    }

    private static func hint(_ algorithm: CHAPAlgorithm) -> String {
        algorithm == .md5 ? "" : "; some targets do only MD5 right: allow it under [chap] algorithms"
    }

    private static func suffix(_ status: LoginStatus?) -> String {
        status.map { " (login status \($0.code))" } ?? ""
    }
}
