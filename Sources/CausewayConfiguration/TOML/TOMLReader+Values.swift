/// Values: strings, numbers, true and false, lists and inline tables.
extension TOMLReader {
    mutating func value(depth: Int) throws(TOMLError) -> TOMLValue {
        guard depth < Self.depthMax else { throw fail("lists and tables are too deep in each other") }
        guard let byte = peek else { throw fail("a value is missing") }
        switch byte {
        case UInt8(ascii: "\""):
            return .string(try isTriple(byte) ? multilineString(byte) : basicString())
        case UInt8(ascii: "'"):
            return .string(try isTriple(byte) ? multilineString(byte) : literalString())
        case UInt8(ascii: "["): return .array(try array(depth))
        case UInt8(ascii: "{"): return .table(try inlineTable(depth))
        default: return try word()
        }
    }

    private mutating func array(_ depth: Int) throws(TOMLError) -> [TOMLValue] {
        position += 1
        var values: [TOMLValue] = []
        while true {
            try skipLines()
            if peek == UInt8(ascii: "]") { break }
            values.append(try value(depth: depth + 1))
            try skipLines()
            if peek == UInt8(ascii: "]") { break }
            guard peek == UInt8(ascii: ",") else { throw fail("a \",\" or \"]\" is missing in the list") }
            position += 1
        }
        position += 1
        return values
    }

    private mutating func skipLines() throws(TOMLError) {
        repeat {
            skipBlank()
            try comment()
        } while try newline()
    }

    private mutating func inlineTable(_ depth: Int) throws(TOMLError) -> TOMLTable {
        position += 1
        let table = TOMLTable(.header, line: line)
        skipBlank()
        if peek != UInt8(ascii: "}") {
            while true {
                skipBlank()
                try pair(into: table, depth: depth + 1)
                skipBlank()
                if peek == UInt8(ascii: "}") { break }
                guard peek == UInt8(ascii: ",") else {
                    throw fail("a \",\" or \"}\" is missing in the table")
                }
                position += 1
            }
        }
        position += 1
        table.kind = .inline
        return table
    }

    /// `true`, `false`, or a number.
    private mutating func word() throws(TOMLError) -> TOMLValue {
        let start = position
        while let byte = peek, byte > 0x20, byte < 0x7f, byte != UInt8(ascii: ","), byte != UInt8(ascii: "]"),
            byte != UInt8(ascii: "}"), byte != UInt8(ascii: "#")
        {
            position += 1
        }
        guard position > start else { throw fail("a value is missing") }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        switch text {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        default: break
        }
        guard let first = text.utf8.first, (0x30...0x39).contains(first) || first == 0x2b || first == 0x2d
        else { throw fail("\(text) is no value; a text stands between quotes: \"\(text)\"") }
        guard let number = Self.integer(text) else {
            throw fail("\(text) is not a whole number; a text stands between quotes: \"\(text)\"")
        }
        return .integer(number)
    }

    /// Decimal, or hexadecimal, octal or binary behind 0x, 0o and 0b; underscores between digits.
    private static func integer(_ text: String) -> Int64? {
        var digits = text[...]
        var radix = 10
        for (prefix, base) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            digits = digits.dropFirst(2)
            radix = base
        }
        var sign = ""
        if radix == 10, let first = digits.first, first == "+" || first == "-" {
            sign = String(first)
            digits = digits.dropFirst()
        }
        let parts = digits.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isASCII && $0.isHexDigit } }) else {
            return nil
        }
        let plain = parts.joined()
        if radix == 10, plain.count > 1, plain.hasPrefix("0") { return nil }
        return Int64(sign + plain, radix: radix)
    }

    // MARK: Strings

    private func isTriple(_ quote: UInt8) -> Bool {
        position + 2 < bytes.count && bytes[position + 1] == quote && bytes[position + 2] == quote
    }

    mutating func basicString() throws(TOMLError) -> String {
        position += 1
        var content: [UInt8] = []
        while true {
            let byte = try character("\"")
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: content, as: UTF8.self)
            case UInt8(ascii: "\\"): try escape(into: &content)
            default: content.append(byte)
            }
        }
    }

    mutating func literalString() throws(TOMLError) -> String {
        position += 1
        var content: [UInt8] = []
        while true {
            let byte = try character("'")
            if byte == UInt8(ascii: "'") { return String(decoding: content, as: UTF8.self) }
            content.append(byte)
        }
    }

    /// The next byte of a string in one line.
    private mutating func character(_ quote: String) throws(TOMLError) -> UInt8 {
        guard let byte = peek, byte != UInt8(ascii: "\n"), byte != UInt8(ascii: "\r") else {
            throw fail("a \(quote) is missing at the end of the text")
        }
        guard byte >= 0x20 && byte != 0x7f || byte == UInt8(ascii: "\t") else {
            throw fail("a text holds a control character")
        }
        position += 1
        return byte
    }

    /// Between three quotes: over several lines, the first line break left out.
    private mutating func multilineString(_ quote: UInt8) throws(TOMLError) -> String {
        let start = line
        position += 3
        _ = try newline()
        var content: [UInt8] = []
        while true {
            guard let byte = peek else {
                throw TOMLError(line: start, reason: "the three quotes that end this text are missing")
            }
            if byte == quote, isTriple(quote) {
                position += 3
                // Up to two quotes may stand before the three.
                for _ in 0..<2 where peek == quote {
                    content.append(quote)
                    position += 1
                }
                return String(decoding: content, as: UTF8.self)
            }
            if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
                _ = try newline()
                content.append(UInt8(ascii: "\n"))
            } else if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                position += 1
                if try !lineContinuation() { try escape(into: &content) }
            } else {
                guard byte >= 0x20 && byte != 0x7f || byte == UInt8(ascii: "\t") else {
                    throw fail("a text holds a control character")
                }
                content.append(byte)
                position += 1
            }
        }
    }

    /// A backslash at the end of a line takes away all white space that follows.
    private mutating func lineContinuation() throws(TOMLError) -> Bool {
        let before = position
        skipBlank()
        guard try newline() else {
            position = before
            return false
        }
        repeat { skipBlank() } while try newline()
        return true
    }

    /// What follows a backslash.
    private mutating func escape(into content: inout [UInt8]) throws(TOMLError) {
        guard let byte = peek else { throw fail("the text ends after a backslash") }
        position += 1
        switch byte {
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "n"): content.append(0x0a)
        case UInt8(ascii: "f"): content.append(0x0c)
        case UInt8(ascii: "r"): content.append(0x0d)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): content.append(byte)
        case UInt8(ascii: "u"): try scalar(digits: 4, into: &content)
        case UInt8(ascii: "U"): try scalar(digits: 8, into: &content)
        default: throw fail("there is no escape \\\(Unicode.Scalar(byte)); a backslash is written \\\\")
        }
    }

    private mutating func scalar(digits: Int, into content: inout [UInt8]) throws(TOMLError) {
        let end = min(position + digits, bytes.count)
        let text = String(decoding: bytes[position..<end], as: UTF8.self)
        guard text.utf8.count == digits, text.allSatisfy(\.isHexDigit), let number = UInt32(text, radix: 16),
            let scalar = Unicode.Scalar(number)
        else { throw fail("\\u is followed by 4, \\U by 8 hexadecimal digits of a character") }
        content.append(contentsOf: String(scalar).utf8)
        position = end
    }
}
