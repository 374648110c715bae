import CausewayControl

extension Setting {
    /// Section `[disk]`: how the disk uses its paths.
    static let disk: [Setting] = [
        Setting(
            section: .disk, key: "policy", allowed: "round-robin",
            set: { (settings, value) throws(SettingError) in
                settings.policy = try value.word(["round-robin"])
            }),
        Setting(
            section: .disk, key: "queue-depth",
            allowed: "\(RequestLimits.queueDepths.lowerBound) to \(RequestLimits.queueDepths.upperBound)",
            set: { (settings, value) throws(SettingError) in
                let range = RequestLimits.queueDepths
                settings.queueDepth = UInt32(
                    clamping: try value.number(Int64(range.lowerBound)...Int64(range.upperBound)))
            }),
    ]
}
