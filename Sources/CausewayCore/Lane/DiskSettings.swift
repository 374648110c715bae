/// What may be set of a disk, when it is attached and while it lives. People name each setting by a key: see
/// `DiskSetting`.
public struct DiskSettings: Equatable, Sendable {
    public var policy = PathPolicy.standard

    public init() {}
}

/// A setting as people name it: a row of `DiskSetting.all`. Adding a setting is adding a field above and a
/// row here.
public struct DiskSetting: Sendable {
    public let key: String
    /// What it may be set to, for people.
    public let allowed: String
    let text: @Sendable (DiskSettings) -> String
    let set: @Sendable (inout DiskSettings, String) throws(WrongSettingValue) -> Void

    public static let all: [DiskSetting] = [
        DiskSetting(
            key: "policy", allowed: PathPolicy.allowed, text: { "\($0.policy)" },
            set: { (settings, text) throws(WrongSettingValue) in settings.policy = try PathPolicy(text) })
    ]
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
