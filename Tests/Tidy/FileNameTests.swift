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
        // main.swift and Package.swift have the names that Swift gives them.
        guard base != "main", base != "Package" else { return violations }
        let declared = Declaration.declarations(of: Token.tokens(of: file)).map { $0.name.lowercased() }
        let plus = base.split(separator: "+")
        let subject = (plus.first.map(String.init) ?? String(base)).lowercased()
        let isNamed =
            plus.count > 1 ? declared.contains(subject) : declared.contains { $0.contains(subject) }
        if !isNamed {
            violations.append(Violation(file, 1, "declares nothing that is called \(plus.first ?? base)"))
        }
        return violations
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
        ("Sources/A/Lane.swift", "// Lane\nlet s = \"struct Lane {}\""),
    ])
    func `A wrong name is found`(path: String, text: String) {
        #expect(FileNameTests.wrongNames(in: SourceFile(path: path, text: text)).count == 1)
    }

    @Test(arguments: [
        ("Sources/A/Lane.swift", "public struct Lane {}"),
        ("Sources/A/Lane+Timers.swift", "extension Lane {}"),
        ("Sources/A/BigEndian.swift", "extension X { func loadBigEndian() {} }"),
        ("Sources/A/main.swift", "run()"),
    ])
    func `A right name is not`(path: String, text: String) {
        #expect(FileNameTests.wrongNames(in: SourceFile(path: path, text: text)) == [])
    }
}
