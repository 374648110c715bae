import Foundation

/// A file of the tree, as the rules look at it.
struct SourceFile: Sendable {
    /// Relative to the package, `Sources/CausewayCore/Wire/Instant.swift`.
    let path: String
    let text: String
    /// Swift without its comments and the insides of its string literals, each byte of them a space: the same
    /// lines and columns (in bytes), and nothing but code. What a literal interpolates is code and stays.
    let code: String

    init(path: String, text: String) {
        self.path = path
        self.text = text
        var lexer = Lexer(bytes: Array(text.utf8))
        code = path.hasSuffix(".swift") ? lexer.run() : text
    }

    var name: String { String(path.split(separator: "/").last ?? "") }
    var isSwift: Bool { path.hasSuffix(".swift") }
    var isSource: Bool { path.hasPrefix("Sources/") }
    /// `CausewayCore` for a file of that module.
    var module: String? {
        let parts = path.split(separator: "/")
        return isSource && parts.count > 2 ? String(parts[1]) : nil
    }
    /// `Wire` for a file of that folder of its module.
    var folder: String? {
        let parts = path.split(separator: "/")
        return isSource && parts.count > 3 ? String(parts[2]) : nil
    }

    /// Lines, counted from 1, in which `needle` stands as a word of its own: a letter, digit or underscore at
    /// its end has no other one beside it.
    func lines(with needle: String, in haystack: KeyPath<SourceFile, String> = \.code) -> [Int] {
        let bytes = Array(self[keyPath: haystack].utf8)
        let wanted = Array(needle.utf8)
        var (found, line, at) = ([Int](), 1, 0)
        while at + wanted.count <= bytes.count {
            if bytes[at] == wanted[0], bytes[at..<at + wanted.count].elementsEqual(wanted),
                !(isWord(wanted[0]) && at > 0 && isWord(bytes[at - 1])),
                !(isWord(wanted[wanted.count - 1]) && at + wanted.count < bytes.count
                    && isWord(bytes[at + wanted.count]))
            {
                found.append(line)
            }
            if bytes[at] == UInt8(ascii: "\n") { line += 1 }
            at += 1
        }
        return found
    }
}

private func isWord(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte >= 0x80
}

/// Blanks comments and string literals. Regular-expression literals are not known to it.
private struct Lexer {
    let bytes: [UInt8]
    private var out: [UInt8] = []
    private var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func run() -> String {
        out.reserveCapacity(bytes.count)
        code(insideInterpolation: false)
        return String(decoding: out, as: UTF8.self)
    }

    private func sees(_ text: StaticString, at offset: Int = 0) -> Bool {
        text.withUTF8Buffer { bytes.dropFirst(at + offset).starts(with: $0) }
    }
    private mutating func copy(_ count: Int = 1) {
        for _ in 0..<count where at < bytes.count {
            out.append(bytes[at])
            at += 1
        }
    }
    private mutating func blank(_ count: Int = 1) {
        for _ in 0..<count where at < bytes.count {
            out.append(bytes[at] == UInt8(ascii: "\n") ? bytes[at] : UInt8(ascii: " "))
            at += 1
        }
    }

    private mutating func code(insideInterpolation: Bool) {
        var depth = 0
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "/") where sees("//"):
                while at < bytes.count, bytes[at] != UInt8(ascii: "\n") { blank() }
            case UInt8(ascii: "/") where sees("/*"):
                blockComment()
            case UInt8(ascii: "\""):
                literal(hashes: 0)
            case UInt8(ascii: "#"):
                let hashes = bytes[at...].prefix { $0 == UInt8(ascii: "#") }.count
                copy(hashes)
                if sees("\"") { literal(hashes: hashes) }
            case UInt8(ascii: "("):
                depth += 1
                copy()
            case UInt8(ascii: ")"):
                copy()
                depth -= 1
                if insideInterpolation, depth == 0 { return }
            default:
                copy()
            }
        }
    }

    private mutating func blockComment() {
        var depth = 0
        repeat {
            if sees("/*") {
                depth += 1
                blank(2)
            } else if sees("*/") {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && at < bytes.count
    }

    private mutating func literal(hashes: Int) {
        let marks = [UInt8](repeating: UInt8(ascii: "#"), count: hashes)
        let quotes = [UInt8](repeating: UInt8(ascii: "\""), count: sees("\"\"\"") ? 3 : 1)
        let (closing, escape) = (quotes + marks, [UInt8(ascii: "\\")] + marks)
        copy(quotes.count)
        while at < bytes.count {
            if bytes[at...].starts(with: closing) {
                copy(closing.count)
                return
            }
            if bytes[at...].starts(with: escape) {
                blank(escape.count)
                if sees("(") { code(insideInterpolation: true) } else { blank() }
            } else if bytes[at] == UInt8(ascii: "\n"), quotes.count == 1 {
                return
            } else {
                blank()
            }
        }
    }
}
