import CausewayCore

/// What one place of a file says of inherited settings: the tables of its sections. Every value has passed
/// the check of its row.
public struct SettingLayer: Sendable {
    struct Entry: Sendable {
        var setting: Setting
        var value: SettingValue
        var line: Int
    }

    private(set) var entries: [Entry] = []

    public init() {}

    var isEmpty: Bool { entries.isEmpty }

    /// Where the file has one of these keys of [chap], or else anything of that section.
    func line(ofCHAP keys: [String]) -> Int? {
        let chap = entries.filter { $0.setting.section == .chap && $0.line > 0 }
        return (chap.last { keys.contains($0.setting.key) } ?? chap.first)?.line
    }

    /// Where the file has these keys of [disk].
    func lines(of keys: [String]) -> [String: Int] {
        var lines: [String: Int] = [:]
        for entry in entries where entry.setting.section == .disk && keys.contains(entry.setting.key) {
            lines[entry.setting.key] = entry.line
        }
        return lines
    }

    /// Secrets' files, and the lines that name them.
    var secretFiles: [(path: String, line: Int)] {
        entries.compactMap { entry in
            guard entry.setting.section == .chap, entry.setting.key.hasSuffix("secret-file"),
                case .text(let path) = entry.value
            else { return nil }
            return (path, entry.line)
        }
    }

    /// The tables that may stand in such a place.
    static var sectionNames: [String] { Setting.Section.allCases.map(\.rawValue) }

    /// Takes the table of a section.
    mutating func read(
        _ section: Setting.Section, _ value: TOMLValue, line: Int, _ reading: inout FileReading
    ) {
        guard case .table(let table) = value else {
            return reading.complain(line, "\"\(section.rawValue)\" is a table: write [\(section.rawValue)]")
        }
        for entry in table.entries {
            guard let setting = Setting.find(section, entry.key) else {
                reading.unknown(
                    entry.key, line: entry.line, known: Setting.keys(of: section), of: "[\(section.rawValue)]"
                )
                continue
            }
            guard let value = SettingValue(entry.value) else {
                reading.complain(
                    entry.line,
                    "\"\(entry.key)\" cannot be \(entry.value.typeName); it may be \(setting.allowed)")
                continue
            }
            var scratch = InheritedSettings()
            do throws(SettingError) {
                try setting.set(&scratch, value)
                entries.append(Entry(setting: setting, value: value, line: entry.line))
            } catch {
                reading.complain(
                    entry.line, "\"\(entry.key)\": \(error.reason); it may be \(setting.allowed)")
            }
        }
    }

    /// For a value that did not come from a file.
    mutating func add(_ section: Setting.Section, _ key: String, _ value: SettingValue) {
        guard let setting = Setting.find(section, key) else { return }
        entries.append(Entry(setting: setting, value: value, line: 0))
    }

    func apply(to settings: inout InheritedSettings) {
        for entry in entries {
            // It has passed once.
            try? entry.setting.set(&settings, entry.value)
        }
    }
}

/// A file being read: what was wrong with it so far.
struct FileReading {
    let file: String
    var problems: [ConfigurationProblem] = []

    init(file: String) { self.file = file }

    mutating func complain(_ line: Int?, _ reason: String) {
        problems.append(ConfigurationProblem(file: file, line: line, reason: reason))
    }

    mutating func unknown(_ key: String, line: Int, known: [String], of place: String) {
        let meant = SimilarWord.nearest(to: key, among: known).map { "; did you mean \"\($0)\"?" }
        complain(
            line,
            "there is no \"\(key)\" in \(place)\(meant ?? "; there are \(known.joined(separator: ", "))")")
    }

    /// The file's tables, nil after a mistake in the syntax.
    mutating func parse(_ text: String) -> TOMLTable? {
        do throws(TOMLError) {
            return try TOMLReader.read(text)
        } catch {
            complain(error.line, error.reason)
            return nil
        }
    }

    mutating func string(_ entry: TOMLTable.Entry) -> String? {
        guard case .string(let text) = entry.value else {
            complain(entry.line, "\"\(entry.key)\" is a text between quotes, not \(entry.value.typeName)")
            return nil
        }
        return text
    }

    mutating func boolean(_ entry: TOMLTable.Entry) -> Bool? {
        guard case .boolean(let flag) = entry.value else {
            complain(entry.line, "\"\(entry.key)\" is true or false, not \(entry.value.typeName)")
            return nil
        }
        return flag
    }

    mutating func strings(_ entry: TOMLTable.Entry) -> [String]? {
        guard case .list(let texts)? = SettingValue(entry.value) else {
            complain(entry.line, "\"\(entry.key)\" is a list of texts: [\"…\", \"…\"]")
            return nil
        }
        return texts
    }
}
