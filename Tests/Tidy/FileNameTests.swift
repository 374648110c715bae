import Foundation
import Testing

/// A file is named after what it declares, and holds something.
@Suite struct FileNameTests {
    static let vagueNames = ["Utils", "Utilities", "Util", "Helpers", "Helper", "Common", "Misc", "Manager"]

    static func wrongNames(in file: SourceFile) -> [Violation] {
        var violations: [Violation] = []
        let base = file.name.dropLast(".swift".count)
        let parts = file.path.dropLast(".swift".count).split { $0 == "/" || $0 == "+" }
        for vague in vagueNames where parts.contains(where: { $0 == vague || $0.hasSuffix(vague) }) {
            violations.append(Violation(file, 1, "\(vague) says nothing: name the subject"))
        }
        if base.contains("Placeholder") { return [Violation(file, 1, "a placeholder was left")] }
        // main.swift has the name that Swift gives it.
        guard base != "main" else { return violations }
        let declarations = Declaration.declarations(of: Token.tokens(of: file))
        let types = declarations.filter { $0.depth == 0 && Declaration.typeKeywords.contains($0.keyword) }
        let subject = String(base.prefix { $0 != "+" })
        let isNamed =
            if base.contains("+") {
                declarations.contains { $0.name == subject }
            } else if types.count == 1 {
                types[0].name == subject
            } else {
                // Several small types, or extensions of foreign ones: a word of the topic is in one of the
                // names.
                topicWords(of: subject).contains { word in
                    declarations.contains { $0.name.lowercased().contains(word) }
                }
            }
        if !isNamed {
            let expected = types.count == 1 ? "declares \(types[0].name)" : "declares nothing of that name"
            violations.append(Violation(file, 1, "the file \(file.name) \(expected)"))
        }
        return violations
    }

    /// `KernelSocketPairs` is kernel, socket, pair; short words, being in many names, count only where there
    /// is no longer one.
    private static func topicWords(of name: String) -> [String] {
        let words = name.matches(of: /[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+/)
            .map { $0.output.lowercased() }.map { $0.hasSuffix("s") ? String($0.dropLast()) : $0 }
        let long = words.filter { $0.count > 3 }
        return long.isEmpty ? words : long
    }

    @Test func `Every file is named after its subject`() {
        report(Tree.sources.flatMap(FileNameTests.wrongNames))
    }

    @Test(arguments: [
        ("Sources/A/Lane.swift", "struct Line {}"), ("Sources/A/Lane+Timers.swift", "struct Timers {}"),
        ("Sources/A/SocketHelpers.swift", "enum SocketHelpers {}"),
        ("Sources/A/Utils/Lane.swift", "struct Lane {}"),
        ("Sources/A/PathManager.swift", "class PathManager {}"),
        ("Sources/A/Placeholder.swift", "enum Placeholder {}"),
        ("Sources/A/Lane.swift", "struct LaneTimer {}"), ("Sources/A/NBDFlags.swift", "func nbd() {}"),
        ("Sources/A/Lane.swift", "// Lane\nlet s = \"struct Lane {}\""),
    ])
    func `A wrong name is found`(path: String, text: String) {
        #expect(FileNameTests.wrongNames(in: SourceFile(path: path, text: text)).count == 1)
    }

    @Test(arguments: [
        ("Sources/A/Lane.swift", "public struct Lane {}"),
        ("Sources/A/Lane+Timers.swift", "extension Lane {}"),
        ("Sources/A/BigEndian.swift", "extension X { func loadBigEndian() {} }"),
        ("Sources/A/NBDFlags.swift", "struct ServerFlags {}\nstruct ClientFlags {}"),
        ("Sources/A/main.swift", "run()"),
    ])
    func `A right name is not`(path: String, text: String) {
        #expect(FileNameTests.wrongNames(in: SourceFile(path: path, text: text)) == [])
    }
}
