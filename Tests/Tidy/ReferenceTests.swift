import Foundation
import Testing

/// What the tree points to: sections of standards in one form, so that they can be searched for, and no place
/// that only its author's machine has.
@Suite struct ReferenceTests {
    /// The right form is `RFC 7143 §11.7.1`, `RFC 1982` for a whole document, and `RFC 7143 Appendix E`.
    static func malformedMarks(in file: SourceFile) -> [Violation] {
        var violations: [Violation] = []
        for (index, line) in numbered(file, containing: ["RFC", "rfc", "Rfc", "§"]) {
            func found(_ what: Substring) {
                violations.append(Violation(file, index + 1, "'\(what)': write RFC 7143 §11.7"))
            }
            for match in line.matches(of: /\b[Rr][Ff][Cc][-_ ]*[0-9]+[^§\n]{0,12}/) {
                let text = match.output
                // The value of a text key (RFC 7143 §13.23).
                if text.hasPrefix("RFC3720") { continue }
                guard text.wholeMatch(of: /RFC [0-9]{3,5}(?![0-9]).*/) != nil else {
                    found(text)
                    continue
                }
                if text.contains(/^RFC [0-9]+,? +([Ss]ec(tion|t\.|\.)|[Ss]\.|[0-9]+\.[0-9])/)
                    || text.contains(/^RFC [0-9]+, $/) && match.range.upperBound < line.endIndex
                        && line[match.range.upperBound] == "§"
                {
                    found(text)
                }
            }
            for match in line.matches(of: /§[^A-Z0-9].?|§$/) { found(match.output) }
        }
        return violations
    }

    /// Lines with one of `signs`, counted from 0: regular expressions are slow in a debug build.
    private static func numbered(_ file: SourceFile, containing signs: [String]) -> [(Int, Substring)] {
        let signs = signs.filter(file.text.contains)
        guard !signs.isEmpty else { return [] }
        return file.text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .filter { line in signs.contains { line.element.contains($0) } }
            .map { ($0.offset, $0.element) }
    }

    /// Hosts that a stranger can reach, and that the tree has a reason to name.
    static let knownHosts: Set<String> = [
        "github.com", "www.apache.org", "apache.org", "www.rfc-editor.org", "datatracker.ietf.org",
        "www.kernel.org",
        "docs.kernel.org", "lore.kernel.org", "www.swift.org", "swift.org", "download.swift.org",
        "varlink.org",
        "toml.io", "www.t10.org", "manpages.debian.org", "www.freedesktop.org", "www.iana.org", "example.com",
    ]
    /// Where people and machines keep working copies; no such path means anything elsewhere.
    static let privateFolders: Set<String> = ["work", "root", "Users", "workspace", "builds"]

    static func privatePlaces(in file: SourceFile) -> [Violation] {
        var violations: [Violation] = []
        let signs = ["http", outside] + privateFolders.map { "/\($0)/" }
        for (index, line) in numbered(file, containing: signs) {
            // The licence's text is not ours.
            for match in line.matches(of: /https?:\/\/([A-Za-z0-9.-]+)/) where file.path != "LICENSE" {
                let host = String(match.output.1).lowercased()
                if !knownHosts.contains(host) {
                    violations.append(
                        Violation(file, index + 1, "\(host) is not among ReferenceTests.knownHosts"))
                }
            }
            for match in line.matches(of: /(^|[^A-Za-z0-9_.)}\]*~%$-])\/([A-Za-z]+)\//)
            where privateFolders.contains(String(match.output.2)) {
                violations.append(Violation(file, index + 1, "/\(match.output.2)/ is a place of one machine"))
            }
            // The bench may look for the measuring stick beside the package; nothing else is found out there.
            if line.contains(outside), !file.path.hasPrefix("Sources/Bench/") {
                violations.append(Violation(file, index + 1, "\(outside) is not part of the package"))
            }
        }
        return violations
    }
    private static let outside = "../" + "shared"

    @Test func `Marks of standards have one form`() {
        report(Tree.files.filter { $0.name != "ReferenceTests.swift" }.flatMap(ReferenceTests.malformedMarks))
    }

    @Test func `Nothing points into one machine`() {
        report(Tree.files.filter { $0.name != "ReferenceTests.swift" }.flatMap(ReferenceTests.privatePlaces))
    }

    @Test(arguments: [
        "RFC7143 §3", "rfc 7143", "RFC-7143", "RFC 7143, §3.2", "RFC 7143 section 3", "RFC 7143, Sec. 3",
        "RFC 7143 3.2",
        "RFC 7143 § 3", "see §", "RFC  7143 §1", "RFC 12",
    ])
    func `A malformed mark is found`(text: String) {
        #expect(
            ReferenceTests.malformedMarks(in: SourceFile(path: "a.md", text: "one\n\(text)\n")).map(\.line)
                == [2])
    }

    @Test(arguments: [
        "RFC 7143 §11.7.1: a", "by RFC 1982 as RFC 7143 §4.2.2.1 asks", "RFC 7143 §4.4.3, §10.1.1",
        "RFC 7143 Appendix E",
        "(RFC 1994)", "RFC 7143, which", "the RFC", "RFC 3720 4 times",
    ])
    func `A well-formed mark is not`(text: String) {
        #expect(ReferenceTests.malformedMarks(in: SourceFile(path: "a.md", text: text)) == [])
    }

    @Test(arguments: [
        "cd /work/main", "\"/root/.cache/x\"", "at https://registry.internal.example/x",
        "../" + "shared/x",
        "PATH=/Users/me/bin",
    ])
    func `A private place is found`(text: String) {
        #expect(ReferenceTests.privatePlaces(in: SourceFile(path: "Makefile", text: text)).count == 1)
    }

    @Test(arguments: [
        "/run/causeway/io.causeway", "frame/work/x", "$(DESTDIR)/usr/bin",
        "https://github.com/apple/swift-log",
        "/dev/disk/by-id/", "~/work/",
    ])
    func `A public place is not`(text: String) {
        #expect(ReferenceTests.privatePlaces(in: SourceFile(path: "Makefile", text: text)) == [])
    }
}
