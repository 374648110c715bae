/// A text that is not the value of a setting, and why.
public struct WrongSettingValue: Error, Equatable, Sendable {
    public var reason: String

    init(_ reason: String) { self.reason = reason }
}

/// Numbers, sizes and times as people write them in settings: made once with the range that a setting allows.
enum SettingText {
    typealias Reader<Value> = (String) throws(WrongSettingValue) -> Value

    /// A whole number.
    static func count(_ range: ClosedRange<UInt64>) -> Reader<UInt64> {
        { text throws(WrongSettingValue) in
            guard let value = number(text) else {
                throw WrongSettingValue("\"\(text)\" is not a whole number")
            }
            return try check(value, range) { "\($0)" }
        }
    }

    /// Bytes: a whole number, or one with k, M or G behind it (powers of 1024).
    static func bytes(_ range: ClosedRange<UInt64>) -> Reader<UInt64> {
        { text throws(WrongSettingValue) in
            let units: [(String, UInt64)] = [("k", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("", 1)]
            guard let value = quantity(text, units) else {
                throw WrongSettingValue("\"\(text)\" is not a number of bytes, such as 65536 or 64k")
            }
            return try check(value, range, size)
        }
    }

    /// Milliseconds of a time such as 500ms, 30s, 5m or 1h.
    static func milliseconds(_ range: ClosedRange<UInt64>) -> Reader<UInt64> {
        { text throws(WrongSettingValue) in
            guard let value = quantity(text, timeUnits) else {
                throw WrongSettingValue("\"\(text)\" is not a time, such as 500ms or 30s")
            }
            return try check(value, range, time)
        }
    }

    /// One of some words.
    static func word<Value: Sendable>(_ words: KeyValuePairs<String, Value>) -> Reader<Value> {
        { text throws(WrongSettingValue) in
            if let found = words.first(where: { $0.key == text }) { return found.value }
            throw WrongSettingValue("\"\(text)\" is none of \(words.map(\.key).joined(separator: ", "))")
        }
    }

    /// The shortest text of a size.
    static func size(_ bytes: UInt64) -> String {
        for (unit, factor) in [("G", 1 << 30), ("M", 1 << 20), ("k", 1 << 10)] as [(String, UInt64)]
        where bytes >= factor && bytes % factor == 0 {
            return "\(bytes / factor)\(unit)"
        }
        return "\(bytes)"
    }

    /// A time in the largest unit that fits it exactly, hours left out.
    static func time(_ milliseconds: UInt64) -> String {
        milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }

    private static let timeUnits: [(String, UInt64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000),
    ]

    private static func number(_ text: some StringProtocol) -> UInt64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt64(text)
    }

    private static func quantity(_ text: String, _ units: [(String, UInt64)]) -> UInt64? {
        for (unit, factor) in units where text.hasSuffix(unit) {
            guard let value = number(text.dropLast(unit.count)) else { continue }
            let (product, overflow) = value.multipliedReportingOverflow(by: factor)
            return overflow ? nil : product
        }
        return nil
    }

    private static func check(
        _ value: UInt64, _ range: ClosedRange<UInt64>, _ text: (UInt64) -> String
    ) throws(WrongSettingValue) -> UInt64 {
        guard range.contains(value) else {
            throw WrongSettingValue(
                "\(text(value)) is not from \(text(range.lowerBound)) to \(text(range.upperBound))")
        }
        return value
    }
}
