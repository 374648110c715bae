/// Reads TOML 1.0.0, except for what no setting uses: floating-point numbers, dates and lists of tables are
/// errors that say so.
struct TOMLReader {
    /// Tables and lists in each other.
    static let depthMax = 16

    let bytes: [UInt8]
    var position = 0
    var line = 1

    static func read(_ text: String) throws(TOMLError) -> TOMLTable {
        var reader = TOMLReader(bytes: Array(text.utf8))
        return try reader.document()
    }

    private mutating func document() throws(TOMLError) -> TOMLTable {
        let root = TOMLTable(.header, line: 1)
        var current = root
        while true {
            skipBlank()
            guard let byte = peek else { return root }
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "#"): break
            case UInt8(ascii: "["): current = try header(root)
            default: try pair(into: current)
            }
            try endOfLine()
        }
    }

    /// `[a.b.c]`
    private mutating func header(_ root: TOMLTable) throws(TOMLError) -> TOMLTable {
        position += 1
        guard peek != UInt8(ascii: "[") else { throw fail("no setting is a list of tables: write [name]") }
        let path = try dottedKey()
        guard peek == UInt8(ascii: "]") else { throw fail("a \"]\" is missing after the table's name") }
        position += 1
        var table = root
        for key in path.dropLast() { table = try step(table, key, kind: .implied) }
        let name = path[path.count - 1]
        guard let entry = table[name] else {
            let made = TOMLTable(.header, line: line)
            _ = table.add(name, .table(made), line: line)
            return made
        }
        guard case .table(let known) = entry.value, case .implied = known.kind else {
            throw fail("\"\(path.joined(separator: "."))\" is in the file already, in line \(entry.line)")
        }
        known.kind = .header
        return known
    }

    /// Into a table on the way to a deeper one; makes it where it is not yet.
    private func step(_ table: TOMLTable, _ key: String, kind: TOMLTable.Kind) throws(TOMLError) -> TOMLTable
    {
        guard let entry = table[key] else {
            let made = TOMLTable(kind, line: line)
            _ = table.add(key, .table(made), line: line)
            return made
        }
        guard case .table(let known) = entry.value else {
            throw fail("\"\(key)\" has a value already, in line \(entry.line), and is no table")
        }
        switch (known.kind, kind) {
        // Dotted keys do not reach into a table that has a header, nor a header into one made by dotted keys.
        case (.inline, _), (.header, .dotted), (.implied, .dotted), (.dotted, .implied):
            throw fail("the table \"\(key)\" is complete since line \(entry.line)")
        default: return known
        }
    }

    /// `key = value`
    mutating func pair(into table: TOMLTable, depth: Int = 0) throws(TOMLError) {
        let path = try dottedKey()
        guard peek == UInt8(ascii: "=") else {
            throw fail("a \"=\" is missing after \"\(path.joined(separator: "."))\"")
        }
        position += 1
        skipBlank()
        let keyLine = line
        let value = try value(depth: depth)
        var inner = table
        for key in path.dropLast() { inner = try step(inner, key, kind: .dotted) }
        let key = path[path.count - 1]
        guard inner.add(key, value, line: keyLine) else {
            let first = inner[key].map { ", in line \($0.line)" } ?? ""
            throw TOMLError(line: keyLine, reason: "\"\(key)\" is set already\(first)")
        }
    }

    private mutating func dottedKey() throws(TOMLError) -> [String] {
        var path: [String] = []
        while true {
            skipBlank()
            path.append(try simpleKey())
            skipBlank()
            guard peek == UInt8(ascii: ".") else { return path }
            guard path.count < Self.depthMax else { throw fail("a key has too many parts") }
            position += 1
        }
    }

    private mutating func simpleKey() throws(TOMLError) -> String {
        switch peek {
        case UInt8(ascii: "\""): return try basicString()
        case UInt8(ascii: "'"): return try literalString()
        default:
            let start = position
            while let byte = peek, Self.isBare(byte) { position += 1 }
            guard position > start else {
                throw fail(peek.map { "a key cannot begin with \(Self.shown($0))" } ?? "a key is missing")
            }
            return String(decoding: bytes[start..<position], as: UTF8.self)
        }
    }

    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    // MARK: Lines

    var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    func fail(_ reason: String) -> TOMLError { TOMLError(line: line, reason: reason) }

    static func shown(_ byte: UInt8) -> String {
        byte > 0x20 && byte < 0x7f ? "\"\(Unicode.Scalar(byte))\"" : "a character that is not allowed here"
    }

    mutating func skipBlank() {
        while let byte = peek, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") { position += 1 }
    }

    /// Nothing but a comment may follow; the end of the file ends a line too.
    private mutating func endOfLine() throws(TOMLError) {
        skipBlank()
        try comment()
        guard let byte = peek else { return }
        guard try newline() else { throw fail("\(Self.shown(byte)) after the end of the value") }
    }

    mutating func comment() throws(TOMLError) {
        guard peek == UInt8(ascii: "#") else { return }
        while let byte = peek, byte != UInt8(ascii: "\n"), byte != UInt8(ascii: "\r") {
            guard byte >= 0x20 && byte != 0x7f || byte == UInt8(ascii: "\t") else {
                throw fail("a comment holds a control character")
            }
            position += 1
        }
    }

    /// Takes the end of a line, if this is one.
    mutating func newline() throws(TOMLError) -> Bool {
        switch peek {
        case UInt8(ascii: "\n"): position += 1
        case UInt8(ascii: "\r"):
            guard position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "\n") else {
                throw fail("a carriage return without a new line")
            }
            position += 2
        default: return false
        }
        line += 1
        return true
    }
}
