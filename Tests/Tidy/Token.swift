/// A word or a sign of Swift code.
struct Token {
    var text: Substring
    /// Counted from 1.
    var line: Int
    /// Open braces around it.
    var depth: Int
    /// After a full stop it names a member or a case and not something of its own.
    var followsDot: Bool

    var isWord: Bool { text.first.map { $0.isLetter || $0 == "_" } ?? false }

    static func tokens(of file: SourceFile) -> [Token] {
        var tokens: [Token] = []
        var (line, depth, dot) = (1, 0, false)
        let code = file.code
        var at = code.startIndex
        while at < code.endIndex {
            let character = code[at]
            let next: String.Index
            if character.isLetter || character.isNumber || character == "_" {
                next =
                    code[at...].firstIndex { !($0.isLetter || $0.isNumber || $0 == "_") } ?? code.endIndex
            } else {
                next = code.index(after: at)
            }
            if character.isNewline {
                line += 1
            } else if !character.isWhitespace {
                if character == "}" { depth -= 1 }
                tokens.append(Token(text: code[at..<next], line: line, depth: depth, followsDot: dot))
                if character == "{" { depth += 1 }
                dot = character == "."
            }
            at = next
        }
        return tokens
    }
}

/// A name that a file declares, or extends.
struct Declaration {
    var keyword: Substring
    var name: Substring
    var line: Int
    var depth: Int

    static let typeKeywords: Set<Substring> = ["struct", "class", "enum", "protocol", "actor", "typealias"]
    private static let keywords = typeKeywords.union(["func", "var", "let", "extension"])

    static func declarations(of tokens: [Token]) -> [Declaration] {
        zip(tokens, tokens.dropFirst()).compactMap { keyword, name in
            guard keywords.contains(keyword.text), !keyword.followsDot, name.isWord,
                // `class func` and `class var` declare a member, not a type.
                !keywords.contains(name.text)
            else { return nil }
            return Declaration(
                keyword: keyword.text, name: name.text, line: keyword.line, depth: keyword.depth)
        }
    }
}
