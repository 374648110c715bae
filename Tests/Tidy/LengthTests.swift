import Testing

/// How long a line, a function and a file may be.
@Suite struct LengthTests {
    static let lineLimit = 110
    static let functionLimit = 70
    static let fileLimit = 500

    /// A line inside of a literal of several lines is as long as what it stands for.
    static func longLines(in file: SourceFile) -> [Violation] {
        let text = file.text.split(separator: "\n", omittingEmptySubsequences: false)
        let code = file.code.split(separator: "\n", omittingEmptySubsequences: false)
        return zip(text, code).enumerated().compactMap { index, line in
            guard line.0.utf8.count > lineLimit, line.0.count > lineLimit else { return nil }
            let isComment = line.0.drop(while: \.isWhitespace).hasPrefix("//")
            guard isComment || !line.1.allSatisfy(\.isWhitespace) else { return nil }
            return Violation(file, index + 1, "\(line.0.count) columns, at most \(lineLimit)")
        }
    }

    struct LongFunction {
        var name: String
        var line: Int
        var lineCount: Int
    }

    /// From the keyword to the closing brace, for `func`, `init`, `deinit`, `subscript` and computed `var`.
    static func functions(in file: SourceFile) -> [LongFunction] {
        let tokens = Token.tokens(of: file)
        let starts: Set<Substring> = ["func", "init", "deinit", "subscript", "var"]
        return tokens.indices.compactMap { start in
            let keyword = tokens[start]
            guard starts.contains(keyword.text), !keyword.followsDot,
                let open = bodyStart(of: tokens, from: start),
                let close = tokens[(open + 1)...].firstIndex(where: {
                    $0.text == "}" && $0.depth == tokens[open].depth
                })
            else { return nil }
            let name =
                keyword.text == "func" || keyword.text == "var" ? tokens[start + 1].text : keyword.text
            return LongFunction(
                name: String(name), line: keyword.line, lineCount: tokens[close].line - keyword.line + 1)
        }
    }

    /// The opening brace of the body, nil for a stored variable and a requirement of a protocol.
    private static func bodyStart(of tokens: [Token], from start: Int) -> Int? {
        let stops: Set<Substring> = [
            "func", "var", "let", "init", "case", "static", "mutating", "public", "private", "subscript",
        ]
        var (brackets, at) = (0, start + 1)
        while at < tokens.count {
            let token = tokens[at]
            switch token.text {
            case "(", "[": brackets += 1
            case ")", "]": brackets -= 1
            case "{" where brackets == 0: return at
            case "}" where brackets == 0: return nil
            case "=" where brackets == 0 && tokens[start].text == "var": return nil
            default:
                if brackets < 0 { return nil }
                if brackets == 0, !token.followsDot, stops.contains(token.text) { return nil }
            }
            at += 1
        }
        return nil
    }

    @Test func `No line is too long`() {
        report(Tree.swift.flatMap(LengthTests.longLines))
    }

    @Test func `No function is too long`() {
        var unused = Set(Exceptions.longFunctions.map { "\($0.path) \($0.name)" })
        for file in Tree.sources {
            for function in LengthTests.functions(in: file)
            where function.lineCount > LengthTests.functionLimit {
                if Exceptions.longFunctions.contains(where: {
                    $0.path == file.path && $0.name == function.name
                }) {
                    unused.remove("\(file.path) \(function.name)")
                } else {
                    report([
                        Violation(
                            file, function.line,
                            "\(function.name) has \(function.lineCount) lines, "
                                + "at most \(LengthTests.functionLimit)"
                        )
                    ])
                }
            }
        }
        #expect(unused.isEmpty, "no longer needed in Exceptions.longFunctions")
    }

    @Test func `A long file is one subject, for a reason`() {
        var unused = Set(Exceptions.longFiles.map(\.path))
        for file in Tree.sources {
            let count = file.text.count { $0.isNewline }
            guard count > LengthTests.fileLimit, unused.remove(file.path) == nil else { continue }
            report([
                Violation(
                    file, count,
                    "\(count) lines: are these two subjects? If not, say why in Exceptions.longFiles")
            ])
        }
        #expect(unused.isEmpty, "no longer needed in Exceptions.longFiles")
    }

    @Test func `A long line is found`() {
        func accents(_ count: Int) -> String { String(repeating: "é", count: count) }
        let file = SourceFile(
            path: "Sources/A/B.swift",
            text:
                "let a = 1\n// \(accents(108))\n// \(accents(107))\nlet b = \"\"\"\n\(accents(200))\n\"\"\"\n"
        )
        #expect(LengthTests.longLines(in: file).map(\.line) == [2])
    }

    @Test func `A function ends with its own brace`() {
        let body = String(repeating: "        work(\"}\") // }\n", count: 70)
        let file = SourceFile(
            path: "Sources/A/B.swift",
            text: """
                protocol P { func none(); var held: Int { get } }
                struct S {
                    var stored = [1].map { $0 }
                    func short(_ f: () -> Void = {}) { f() }
                    init() {
                \(body)    }
                    var computed: Int {
                        2
                    }
                }
                """)
        let functions = LengthTests.functions(in: file)
        #expect(functions.map(\.name) == ["held", "short", "init", "computed"])
        #expect(functions.map(\.lineCount) == [1, 1, 72, 3])
    }
}
