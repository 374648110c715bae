/// What may be set of a disk, when it is attached and while it lives. People name each setting by a key: see
/// `DiskSetting`.
public struct DiskSettings: Equatable, Sendable {
    public var policy = PathPolicy.standard
    /// Not changed while the disk is attached, and the same for all disks of a target.
    public var multipathing = Multipathing.sessions
    public var failure = FailureSettings()
    /// From the next login on. Disks of one target share its sessions: the one that wants most has its way.
    public var headerDigest = DigestPreference.prohibited
    public var dataDigest = DigestPreference.prohibited
    /// A command without an answer for so long, on a path that answers pings, is aborted; 0: never.
    public var commandTimeoutMilliseconds: UInt64 = 60_000
    public var resetOnTimeout = TimeoutReset.none
    /// What becomes of portals that the target has beside those that were given, and how often it is asked.
    public var portalDiscovery = PortalDiscovery.report
    public var discoveryIntervalMilliseconds: UInt64 = 300_000
    /// Of the sessions. Disks of one target share them: each timer is the shortest that one of them wants.
    public var timers = SessionTimers()

    public init() {}
}

/// What is done with portals that a target lists and that were not given at attach.
public enum PortalDiscovery: String, CaseIterable, Sendable {
    /// Said once, and shown by `status`.
    case report
    /// Paths are made to them.
    case add
    /// The target is not asked.
    case ignore
}

/// A setting as people name it: a row of `DiskSetting.all`. Adding a setting is adding a field above and a
/// row here.
public struct DiskSetting: Sendable {
    public let key: String
    /// What it may be set to, for people.
    public let allowed: String
    let text: @Sendable (DiskSettings) -> String
    let set: @Sendable (inout DiskSettings, String) throws(WrongSettingValue) -> Void

    public static let all: [DiskSetting] = ofPaths + ofTimers

    private static let ofTimers: [DiskSetting] = [
        timer("noop-interval", \.noopIntervalMilliseconds, 500...600_000),
        timer("noop-timeout", \.noopTimeoutMilliseconds, 500...600_000),
        timer("recovery-timeout", \.recoveryTimeoutMilliseconds, 1000...3_600_000),
        timer("login-timeout", \.loginTimeoutMilliseconds, 1000...600_000),
    ]

    /// A time, milliseconds.
    private static func timer(
        _ key: String, _ field: any WritableKeyPath<SessionTimers, UInt64> & Sendable,
        _ range: ClosedRange<UInt64>
    ) -> DiskSetting {
        DiskSetting(
            key: key,
            allowed: "\(SettingText.time(range.lowerBound)) to \(SettingText.time(range.upperBound))",
            text: { SettingText.time($0.timers[keyPath: field]) },
            set: { (settings, text) throws(WrongSettingValue) in
                settings.timers[keyPath: field] = try SettingText.milliseconds(range)(text)
            })
    }

    public static let multipathingKey = "multipathing"

    private static let ofPaths: [DiskSetting] = [
        DiskSetting(
            key: "policy", allowed: PathPolicy.allowed, text: { "\($0.policy)" },
            set: { (settings, text) throws(WrongSettingValue) in settings.policy = try PathPolicy(text) }),
        DiskSetting(
            key: multipathingKey, allowed: "sessions or connections", text: { $0.multipathing.rawValue },
            set: { (settings, text) throws(WrongSettingValue) in settings.multipathing = try word(text) }),
        DiskSetting(
            key: "all-paths-down-timeout", allowed: FailureSettings.Patience.allowed,
            text: { $0.failure.allPathsDownTimeout.settingText },
            set: { (settings, text) throws(WrongSettingValue) in
                settings.failure.allPathsDownTimeout = try FailureSettings.Patience(text)
            }),
        DiskSetting(
            key: "alua", allowed: "auto, implicit or off", text: { $0.failure.access.rawValue },
            set: { (settings, text) throws(WrongSettingValue) in settings.failure.access = try word(text) }),
        DiskSetting(
            key: "fence", allowed: "hold, lun-reset or none", text: { $0.failure.fence.rawValue },
            set: { (settings, text) throws(WrongSettingValue) in settings.failure.fence = try word(text) }),
        DiskSetting(
            key: "space", allowed: "error or hold", text: { $0.failure.space.rawValue },
            set: { (settings, text) throws(WrongSettingValue) in settings.failure.space = try word(text) }),
        DiskSetting(
            key: "header-digest", allowed: DigestPreference.allowed, text: { $0.headerDigest.setting },
            set: { (settings, text) throws(WrongSettingValue) in
                settings.headerDigest = try DigestPreference(setting: text)
            }),
        DiskSetting(
            key: "data-digest", allowed: DigestPreference.allowed, text: { $0.dataDigest.setting },
            set: { (settings, text) throws(WrongSettingValue) in
                settings.dataDigest = try DigestPreference(setting: text)
            }),
        DiskSetting(
            key: "command-timeout", allowed: "1s to 1h, or never",
            text: {
                $0.commandTimeoutMilliseconds == 0 ? "never" : SettingText.time($0.commandTimeoutMilliseconds)
            },
            set: { (settings, text) throws(WrongSettingValue) in
                settings.commandTimeoutMilliseconds =
                    text == "never" ? 0 : try SettingText.milliseconds(1000...3_600_000)(text)
            }),
        DiskSetting(
            key: "portal-discovery", allowed: "report, add or ignore", text: { $0.portalDiscovery.rawValue },
            set: { (settings, text) throws(WrongSettingValue) in settings.portalDiscovery = try word(text) }),
        DiskSetting(
            key: "discovery-interval", allowed: "10s to 24h",
            text: { SettingText.time($0.discoveryIntervalMilliseconds) },
            set: { (settings, text) throws(WrongSettingValue) in
                settings.discoveryIntervalMilliseconds =
                    try SettingText.milliseconds(10_000...86_400_000)(text)
            }),
        DiskSetting(
            key: "reset-on-timeout", allowed: "none, lun, target", text: { $0.resetOnTimeout.rawValue },
            set: { (settings, text) throws(WrongSettingValue) in
                guard let reset = TimeoutReset(rawValue: text) else {
                    throw WrongSettingValue("there is no reset \"\(text)\"")
                }
                settings.resetOnTimeout = reset
            }),
    ]

    private static func word<Value: RawRepresentable & CaseIterable>(
        _ text: String
    ) throws(WrongSettingValue) -> Value where Value.RawValue == String {
        guard let value = Value(rawValue: text) else {
            throw WrongSettingValue(
                "\"\(text)\" is none of \(Value.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return value
    }
}

extension DigestPreference {
    fileprivate static let allowed = settings.map { $0.text }.joined(separator: ", ")

    private static let settings: [(text: String, preference: DigestPreference)] = [
        ("none", .prohibited), ("prefer-none", .discouraged), ("prefer-crc32c", .preferred),
        ("crc32c", .required),
    ]

    fileprivate init(setting text: String) throws(WrongSettingValue) {
        guard let found = Self.settings.first(where: { $0.text == text }) else {
            throw WrongSettingValue("there is no digest \"\(text)\"")
        }
        self = found.preference
    }

    fileprivate var setting: String {
        Self.settings.first { $0.preference == self }?.text ?? "none"
    }

    /// The stronger wish of two.
    func stronger(_ other: DigestPreference) -> DigestPreference {
        func strength(_ preference: DigestPreference) -> Int {
            switch preference {
            case .prohibited: 0
            case .discouraged: 1
            case .preferred: 2
            case .required: 3
            }
        }
        return strength(self) >= strength(other) ? self : other
    }
}

/// Why a setting is not taken.
public enum DiskSettingError: Error, Equatable, Sendable {
    /// `nearest` is a key that may have been meant.
    case unknownKey(String, nearest: String?)
    case wrongValue(key: String, reason: String, allowed: String)
}

extension DiskSettings {
    /// Sets one setting from its text.
    public mutating func set(_ key: String, to text: String) throws(DiskSettingError) {
        guard let setting = DiskSetting.all.first(where: { $0.key == key }) else {
            throw .unknownKey(key, nearest: SimilarWord.nearest(to: key, among: DiskSetting.all.map(\.key)))
        }
        do throws(WrongSettingValue) {
            try setting.set(&self, text)
        } catch {
            throw .wrongValue(key: key, reason: error.reason, allowed: setting.allowed)
        }
    }

    /// Every setting in force, by key: each text is one that `set` takes.
    public var texts: [String: String] {
        var texts: [String: String] = [:]
        for setting in DiskSetting.all { texts[setting.key] = setting.text(self) }
        return texts
    }
}
