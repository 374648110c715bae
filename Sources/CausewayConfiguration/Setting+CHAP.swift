import CausewayCore

extension Setting {
    /// Section `[chap]`: who proves to whom who it is (RFC 7143 §12.1.3).
    static let chap: [Setting] = [
        level("level", \.level), user("user", \.user), file("secret-file", \.secret),
        credential("secret-credential", \.secret), level("mutual-level", \.mutualLevel),
        user("mutual-user", \.mutualUser), file("mutual-secret-file", \.mutualSecret),
        credential("mutual-secret-credential", \.mutualSecret),
        Setting(
            section: .chap, key: "algorithms",
            allowed: "a list of \(CHAPAlgorithm.strongestFirst.map { "\"\($0)\"" }.joined(separator: ", "))",
            set: { (settings, value) throws(SettingError) in
                settings.chap.algorithms = try algorithms(value)
            }),
    ]

    private typealias Field<Value> = any WritableKeyPath<CHAPSettings, Value?> & Sendable

    private static func level(_ key: String, _ field: Field<AuthenticationLevel>) -> Setting {
        let words = AuthenticationLevel.allCases.map(\.rawValue)
        return Setting(
            section: .chap, key: key, allowed: words.joined(separator: ", "),
            set: { (settings, value) throws(SettingError) in
                settings.chap[keyPath: field] = AuthenticationLevel(rawValue: try value.word(words))
            })
    }

    private static func user(_ key: String, _ field: Field<String>) -> Setting {
        Setting(
            section: .chap, key: key, allowed: "a name of 1 to 255 bytes",
            set: { (settings, value) throws(SettingError) in
                let name = try value.text()
                guard (1...255).contains(name.utf8.count), !name.utf8.contains(where: { $0 < 0x20 }) else {
                    throw SettingError("\(name.utf8.count) bytes, or a control character")
                }
                settings.chap[keyPath: field] = name
            })
    }

    private static func file(_ key: String, _ field: Field<SecretSource>) -> Setting {
        Setting(
            section: .chap, key: key, allowed: "the absolute path of a file that only root can read",
            set: { (settings, value) throws(SettingError) in
                let path = try value.text()
                guard path.utf8.first == UInt8(ascii: "/"), path.utf8.count < 4096, !path.utf8.contains(0)
                else { throw SettingError("it is not an absolute path") }
                settings.chap[keyPath: field] = .file(path)
            })
    }

    private static func credential(_ key: String, _ field: Field<SecretSource>) -> Setting {
        Setting(
            section: .chap, key: key, allowed: "the name of a credential that systemd loads for causewayd",
            set: { (settings, value) throws(SettingError) in
                let name = try value.text()
                let isPlain = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }
                guard isPlain, (1...255).contains(name.utf8.count), name != ".", name != ".." else {
                    throw SettingError("it is not the name of a credential")
                }
                settings.chap[keyPath: field] = .credential(name)
            })
    }

    private static func algorithms(_ value: SettingValue) throws(SettingError) -> [CHAPAlgorithm] {
        guard case .list(let names) = value else { throw SettingError("\(value.shown) is not a list") }
        var algorithms: [CHAPAlgorithm] = []
        for name in names {
            guard let found = CHAPAlgorithm.allCases.first(where: { "\($0)" == name }) else {
                throw SettingError("\"\(name)\" is none")
            }
            guard !algorithms.contains(found) else { throw SettingError("\"\(name)\" stands there twice") }
            algorithms.append(found)
        }
        guard !algorithms.isEmpty else { throw SettingError("the list is empty") }
        return algorithms
    }
}
