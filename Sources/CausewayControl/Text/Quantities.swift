/// Numbers as people read them.
public enum Quantities {
    /// Bytes in binary units: `512 B`, `1.5 KiB`, `10 GiB`, never rounded up.
    public static func bytes(_ count: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var unit = 0
        while unit + 1 < units.count, count >> (10 * UInt64(unit + 1)) > 0 { unit += 1 }
        let shift = 10 * UInt64(unit)
        let whole = count >> shift
        // Tenths of the rest, computed so that nothing overflows: the rest has fewer than 60 bits.
        let tenths = ((count & ((1 << shift) - 1)) * 10) >> shift
        return tenths == 0 || whole >= 100 ? "\(whole) \(units[unit])" : "\(whole).\(tenths) \(units[unit])"
    }

    /// A duration: `85 us`, `1.2 ms`, `3.4 s`.
    public static func duration(microseconds: UInt64) -> String {
        switch microseconds {
        case ..<1000: "\(microseconds) us"
        case ..<1_000_000: tenths(microseconds / 100) + " ms"
        default: tenths(microseconds / 100_000) + " s"
        }
    }

    private static func tenths(_ value: UInt64) -> String {
        value >= 1000 || value % 10 == 0 ? "\(value / 10)" : "\(value / 10).\(value % 10)"
    }

    /// A moment in UTC to the second, as RFC 3339 writes it: `2026-01-31T23:59:59Z`.
    public static func utc(microseconds: UInt64) -> String {
        let seconds = microseconds / 1_000_000
        let (year, month, day) = civilDate(daysSince1970: seconds / 86400)
        let second = seconds % 86400
        let time = "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60))"
        return "\(year)-\(two(month))-\(two(day))T\(time)Z"
    }

    /// The Gregorian date. Years are counted from March here, so that the leap day is the last of its year.
    private static func civilDate(daysSince1970: UInt64) -> (year: UInt64, month: UInt64, day: UInt64) {
        // Days from 0000-03-01, and the 400-year cycles of 146097 days that they make.
        let days = daysSince1970 + 719_468
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = days / 146_097 * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (year, month, day)
    }

    private static func two(_ value: UInt64) -> String {
        value < 10 ? "0\(value)" : "\(value)"
    }
}
