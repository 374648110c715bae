import CausewayCore

extension Setting {
    /// Section `[parameters]`: the keys of RFC 7143 §13 by their names there. The digests are settings of
    /// `[disk]`.
    static let parameters: [Setting] = SessionParameter.all.filter(\.isConfigurable).map { row in
        Setting(
            section: .parameters, key: row.key.name, allowed: row.allowed,
            set: { (settings, value) throws(SettingError) in
                let number = try Self.number(row, value)
                guard row.set(number, in: &settings.parameters) else {
                    throw SettingError("\(value.shown) is not possible")
                }
            })
    }

    /// Yes and No, true and false for flags.
    private static func number(_ row: SessionParameter, _ value: SettingValue) throws(SettingError) -> Int {
        switch (row.values, value) {
        case (.flags, .flag(let flag)): return flag ? 1 : 0
        case (.flags, .text("Yes")): return 1
        case (.flags, .text("No")): return 0
        case (.number(let range), .number(let number)):
            guard let number = Int(exactly: number), range.contains(number) else {
                throw SettingError("\(value.shown) is not possible")
            }
            return number
        default: throw SettingError("\(value.shown) is not possible")
        }
    }
}
