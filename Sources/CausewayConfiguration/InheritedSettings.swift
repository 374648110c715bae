public import CausewayCore

/// What is inherited, adapter → discovery address → target → disk, as it is in force for one disk.
public struct InheritedSettings: Equatable, Sendable {
    /// Settings of the disk by key, as `causeway set` takes them; what is not named is as the daemon has it.
    public var disk: [String: String] = [:]
    /// Commands in flight a path at most; nil: the daemon's choice.
    public var queueDepth: UInt32?

    public var chap = CHAPSettings()
    public var parameters = WantedParameters()

    public init() {}

    /// What is not named, as the daemon has it. Every value has passed the check of its row.
    var diskSettings: DiskSettings {
        var settings = DiskSettings()
        for (key, text) in disk { try? settings.set(key, to: text) }
        return settings
    }
}

/// A setting that is inherited: a row of `Setting.all`. In a file it stands in the table of its section.
public struct Setting: Sendable {
    public enum Section: String, CaseIterable, Sendable {
        case chap, parameters, disk
    }

    public let section: Section
    public let key: String
    /// What it may be set to, for people.
    public let allowed: String
    let set: @Sendable (inout InheritedSettings, SettingValue) throws(SettingError) -> Void

    /// The one place where they are described.
    public static let all: [Setting] = chap + parameters + disk

    static func keys(of section: Section) -> [String] { all.filter { $0.section == section }.map(\.key) }

    static func find(_ section: Section, _ key: String) -> Setting? {
        all.first { $0.section == section && $0.key == key }
    }
}

/// Why a value is not taken.
struct SettingError: Error, Equatable {
    var reason: String

    init(_ reason: String) { self.reason = reason }
}

/// The value of a setting as it stands in a file.
enum SettingValue: Equatable, Sendable {
    case text(String)
    case number(Int64)
    case flag(Bool)
    case list([String])

    /// nil for what no setting is: a table, or a list of other things than texts.
    init?(_ value: TOMLValue) {
        switch value {
        case .string(let text): self = .text(text)
        case .integer(let number): self = .number(number)
        case .boolean(let flag): self = .flag(flag)
        case .array(let values):
            var texts: [String] = []
            for value in values {
                guard case .string(let text) = value else { return nil }
                texts.append(text)
            }
            self = .list(texts)
        case .table: return nil
        }
    }

    /// As people write it.
    var shown: String {
        switch self {
        case .text(let text): "\"\(text)\""
        case .number(let number): "\(number)"
        case .flag(let flag): "\(flag)"
        case .list(let texts): "[\(texts.map { "\"\($0)\"" }.joined(separator: ", "))]"
        }
    }

    func number(_ range: ClosedRange<Int64>) throws(SettingError) -> Int64 {
        guard case .number(let number) = self else { throw SettingError("\(shown) is not a number") }
        guard range.contains(number) else {
            throw SettingError("\(number) is not from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func text() throws(SettingError) -> String {
        guard case .text(let text) = self else { throw SettingError("\(shown) is not a text between quotes") }
        return text
    }

    /// For rows that read a text, whatever it is in the file.
    var plain: String {
        switch self {
        case .text(let text): text
        case .list(let texts): texts.joined(separator: ",")
        case .number, .flag: shown
        }
    }

    func word(_ words: [String]) throws(SettingError) -> String {
        let text = try text()
        guard words.contains(text) else {
            throw SettingError("\"\(text)\" is none of \(words.joined(separator: ", "))")
        }
        return text
    }
}
