import Foundation
import Testing

/// Public types, and what else is public outside of a type, have a doc comment. Members have one where it
/// says more than their declaration does, which no test can tell: `TIDY_REPORT=1` lists those without.
@Suite struct DocumentationTests {
    struct Undocumented {
        var violation: Violation
        var isMember: Bool
    }

    static func undocumented(in file: SourceFile) -> [Undocumented] {
        let code = file.code.split(separator: "\n", omittingEmptySubsequences: false)
        let text = file.text.split(separator: "\n", omittingEmptySubsequences: false)
        var found: [Undocumented] = []
        let tokens = Token.tokens(of: file)
        for (index, token) in tokens.enumerated() where token.text == "public" || token.text == "open" {
            let rest = tokens[(index + 1)...].prefix(8)
            let kinds = Declaration.typeKeywords.union(["func", "var", "let", "init", "subscript"])
            guard let kind = rest.firstIndex(where: { kinds.contains($0.text) }),
                // `public extension` and `public import` declare no name of their own.
                !rest[..<kind].contains(where: { ["extension", "import", "}"].contains($0.text) })
            else { continue }
            var above = token.line - 2
            while above >= 0, code[above].drop(while: \.isWhitespace).hasPrefix("@") { above -= 1 }
            if above >= 0, text[above].drop(while: \.isWhitespace).hasPrefix("///") { continue }
            let keyword = tokens[kind].text
            let name = keyword == "init" || keyword == "subscript" ? keyword : tokens[kind + 1].text
            found.append(
                Undocumented(
                    violation: Violation(file, token.line, "public \(keyword) \(name) has no doc comment"),
                    isMember: token.depth > 0))
        }
        return found
    }

    @Test func `Public types say what they are`() {
        let found = Tree.sources.flatMap(DocumentationTests.undocumented)
        report(found.filter { !$0.isMember }.map(\.violation))
        if ProcessInfo.processInfo.environment["TIDY_REPORT"] != nil {
            for member in found where member.isMember { print(member.violation) }
        }
    }

    @Test(arguments: [
        "public struct A {}", "// not a doc comment\npublic enum A {}", "///\n\npublic protocol A {}",
        "public let limit = 1", "public final class A {}",
        "@frozen\npublic struct A {}", "public func f() {}", "public typealias A = Int",
    ])
    func `A silent type is found`(text: String) {
        let found = DocumentationTests.undocumented(in: SourceFile(path: "Sources/A/A.swift", text: text))
        #expect(found.map(\.isMember) == [false])
    }

    @Test func `A silent member is only listed`() {
        let file = SourceFile(
            path: "Sources/A/A.swift",
            text: """
                /// A.
                @frozen
                public struct A {
                    public init() {}
                    /// B.
                    @inline(__always)
                    public var b: Int
                    public static func == (a: A, b: A) -> Bool { true }
                }
                public extension A { var c: Int { 1 } }
                """)
        #expect(DocumentationTests.undocumented(in: file).map(\.isMember) == [true, true])
    }
}
