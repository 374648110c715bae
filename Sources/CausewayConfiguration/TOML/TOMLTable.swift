/// A table of a TOML file (TOML 1.0.0), with the line of everything in it.
///
/// A reader of our own, because an error has to name the line of a value that is of the wrong type or out of
/// range, not only of a mistake in the syntax.
final class TOMLTable {
    /// What may still be added to a table.
    enum Kind {
        /// Named only on the way to a deeper one: its own header may come yet.
        case implied
        case header
        /// By dotted keys, inside the table that holds them.
        case dotted
        /// Between braces: complete.
        case inline
    }

    struct Entry {
        var key: String
        var value: TOMLValue
        var line: Int
    }

    var kind: Kind
    let line: Int
    private(set) var entries: [Entry] = []
    private var places: [String: Int] = [:]

    init(_ kind: Kind, line: Int) {
        self.kind = kind
        self.line = line
    }

    subscript(key: String) -> Entry? { places[key].map { entries[$0] } }

    /// False if the key is taken.
    func add(_ key: String, _ value: TOMLValue, line: Int) -> Bool {
        guard places[key] == nil else { return false }
        places[key] = entries.count
        entries.append(Entry(key: key, value: value, line: line))
        return true
    }
}

/// A value of a TOML file.
enum TOMLValue {
    case string(String)
    case integer(Int64)
    case boolean(Bool)
    case array([TOMLValue])
    case table(TOMLTable)

    /// What it is, for people.
    var typeName: String {
        switch self {
        case .string: "a string"
        case .integer: "a number"
        case .boolean: "true or false"
        case .array: "a list"
        case .table: "a table"
        }
    }
}

/// A mistake in the syntax.
struct TOMLError: Error, Equatable {
    var line: Int
    var reason: String
}
