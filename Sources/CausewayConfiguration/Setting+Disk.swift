import CausewayControl
import CausewayCore

extension Setting {
    /// Section `[disk]`: what `causeway set` can change, and how deep the paths' queues are.
    static let disk: [Setting] =
        DiskSetting.all.map { row in
            let key = row.key
            return Setting(
                section: .disk, key: key, allowed: row.allowed,
                set: { (settings, value) throws(SettingError) in
                    var scratch = DiskSettings()
                    do throws(DiskSettingError) {
                        try scratch.set(key, to: value.plain)
                    } catch {
                        guard case .wrongValue(_, let reason, _) = error else {
                            throw SettingError("it cannot be set")
                        }
                        throw SettingError(reason)
                    }
                    settings.disk[key] = value.plain
                })
        } + [
            Setting(
                section: .disk, key: "queue-depth",
                allowed: "\(RequestLimits.queueDepths.lowerBound) to \(RequestLimits.queueDepths.upperBound)",
                set: { (settings, value) throws(SettingError) in
                    let range = RequestLimits.queueDepths
                    settings.queueDepth = UInt32(
                        clamping: try value.number(Int64(range.lowerBound)...Int64(range.upperBound)))
                })
        ]
}
