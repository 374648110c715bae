/// A file of open-iscsi's data base: lines `key = value`, and comments. What a value is never gets into an
/// error, since it may be a secret.
struct OpenISCSIRecord: Sendable {
    struct Value: Sendable {
        var text: String
        var line: Int
    }

    let file: String
    private var values: [String: Value] = [:]

    /// nil when a line is no record's, which is added to `problems`.
    init?(_ text: String, file: String, problems: inout [ConfigurationProblem]) {
        self.file = file
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let line = Self.trimmed(line)
            if line.isEmpty || line.hasPrefix("#") { continue }
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !Self.trimmed(parts[0]).isEmpty else {
                problems.append(
                    ConfigurationProblem(
                        file: file, line: index + 1, reason: "this is not \"key = value\": skipped"))
                return nil
            }
            values[Self.trimmed(parts[0])] = Value(text: Self.trimmed(parts[1]), line: index + 1)
        }
        guard !values.isEmpty else {
            problems.append(ConfigurationProblem(file: file, reason: "there is nothing in it: skipped"))
            return nil
        }
    }

    /// nil for a key that is absent or `<empty>`.
    subscript(key: String) -> Value? {
        guard let value = values[key], !value.text.isEmpty, value.text != "<empty>" else { return nil }
        return value
    }

    private static func trimmed(_ text: Substring) -> String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" || $0 == "\r\n" }
        let start = text.drop(while: isBlank)
        return String(start.reversed().drop(while: isBlank).reversed())
    }

    private static func trimmed(_ text: String) -> String { trimmed(text[...]) }
}
