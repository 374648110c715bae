public import CausewayCore

/// Where a secret is: the configuration never holds one itself.
public enum SecretSource: Equatable, Sendable {
    /// Absolute path.
    case file(String)
    /// Name of a systemd credential of the daemon's service.
    case credential(String)
}

/// CHAP as it is configured.
public struct CHAPSettings: Equatable, Sendable {
    /// nil: required where a user and a secret are set, else prohibited.
    public var level: AuthenticationLevel?
    public var user: String?
    public var secret: SecretSource?
    /// nil: required where the target's secret is set, else prohibited.
    public var mutualLevel: AuthenticationLevel?
    public var mutualUser: String?
    public var mutualSecret: SecretSource?
    /// The preferred first.
    public var algorithms = CHAPAlgorithm.strongestFirst

    public init() {}

    public var effectiveLevel: AuthenticationLevel {
        level ?? (user != nil && secret != nil ? .required : .prohibited)
    }
    public var effectiveMutualLevel: AuthenticationLevel {
        mutualLevel ?? (mutualSecret != nil ? .required : .prohibited)
    }

    /// Why these settings do not fit together; nil if they do.
    public var problem: String? { misfit?.reason }

    /// The same, with the keys of which one is to blame.
    var misfit: (reason: String, keys: [String])? {
        let (level, mutual) = (effectiveLevel, effectiveMutualLevel)
        if level != .prohibited, user == nil || secret == nil {
            let missing = user == nil ? "user" : "secret-file"
            return ("[chap] level is \(level.rawValue), and \(missing) is missing", ["level"])
        }
        guard mutual == .preferred || mutual == .required else { return nil }
        let secretKeys = ["mutual-secret-file", "mutual-secret-credential"]
        if mutualSecret == nil {
            let reason = "[chap] mutual-level is \(mutual.rawValue), and mutual-secret-file is missing"
            return (reason, ["mutual-level"])
        }
        guard level == .required || mutual == .preferred && level == .preferred else {
            let reason =
                "[chap] mutual-level is \(mutual.rawValue), so level must be \(mutual.rawValue) too: "
                + "the target proves who it is only after this side has"
            return (reason, ["mutual-level"] + secretKeys)
        }
        if let mutualSecret, mutualSecret == secret {
            return (
                "[chap] secret and mutual secret are the same: each direction needs its own", secretKeys
            )
        }
        return nil
    }
}
