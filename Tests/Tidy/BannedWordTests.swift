import Testing

/// Words that Swift allows and this house does not.
@Suite struct BannedWordTests {
    struct Ban: Sendable {
        var word: String
        var reason: String
        /// Comments count too.
        var alsoInComments = false
    }

    /// In all of Sources.
    static let everywhere = [
        Ban(word: "try!", reason: "throws on what nobody thought of: handle it, or say why it cannot be"),
        Ban(word: "as!", reason: "traps on what nobody thought of"),
        Ban(word: "fatalError()", reason: "says nothing to who reads the crash: give it a message"),
        Ban(word: "TODO", reason: "belongs into the tracker", alsoInComments: true),
        Ban(word: "FIXME", reason: "belongs into the tracker", alsoInComments: true),
        Ban(word: "XXX", reason: "belongs into the tracker", alsoInComments: true),
    ]

    /// In the core, which decides from what it is handed and from nothing else.
    static let core = [
        Ban(word: "Date(", reason: "time is handed in as an Instant"),
        Ban(word: "ContinuousClock", reason: "time is handed in as an Instant"),
        Ban(word: "SuspendingClock", reason: "time is handed in as an Instant"),
        Ban(word: ".random(", reason: "randomness is handed in"),
        Ban(word: "SystemRandomNumberGenerator", reason: "randomness is handed in"),
        Ban(word: "print(", reason: "the core has no output: return it"),
        Ban(word: "weak var", reason: "counts references on each use"),
        Ban(word: "await", reason: "a lane is one thread and never suspends"),
    ]

    static func banned(in file: SourceFile) -> [Violation] {
        guard file.isSource else { return [] }
        let bans = everywhere + (file.module == "CausewayCore" ? core : [])
        var violations = bans.flatMap { ban in
            file.lines(with: ban.word, in: ban.alsoInComments ? \.text : \.code)
                .map { Violation(file, $0, "\(ban.word): \(ban.reason)") }
        }
        if file.module == "CausewayCore" {
            violations += file.lines(with: "import")
                // Atomics make no call, and lanes have to share something in the end: in one file.
                .filter { _ in file.path != "Sources/CausewayCore/Lane/DiskShares.swift" }
                .map { Violation(file, $0, "the core is pure: it imports nothing") }
        } else if file.module != "Bench" {
            violations += file.lines(with: "import Foundation")
                .map { Violation(file, $0, "import Foundation: the daemon and its client do without") }
        }
        return violations
    }

    @Test func `No banned word is used`() {
        report(Tree.sources.flatMap(BannedWordTests.banned))
    }

    @Test(arguments: everywhere.map { ("LinuxSystem", $0.word) } + core.map { ("CausewayCore", $0.word) })
    func `Each banned word is found`(module: String, word: String) {
        let file = SourceFile(path: "Sources/\(module)/Wire/A.swift", text: "let a = 1\n    \(word)\n")
        #expect(BannedWordTests.banned(in: file).map(\.line) == [2])
    }

    @Test(arguments: ["Foundation", "Glibc", "Dispatch", "Logging", "Synchronization", "CLinux"])
    func `Each import in the core is found`(name: String) {
        let file = SourceFile(path: "Sources/CausewayCore/Wire/A.swift", text: "internal import \(name)\n")
        #expect(BannedWordTests.banned(in: file).count == 1)
    }

    @Test func `Comments and literals are not code`() {
        let file = SourceFile(
            path: "Sources/CausewayCore/Wire/A.swift",
            text: """
                // try! print( /* as! */
                let a = "try! \\(b) as!" + #"print("x") \\(await)"#  /* Date( /* .random( */ weak var */
                let blueprint = imprint(a)  // a longer word
                let t = \"""
                    try! "quoted" as!
                    \"""
                """)
        #expect(BannedWordTests.banned(in: file) == [])
    }

    @Test func `What a literal interpolates is code`() {
        let file = SourceFile(
            path: "Sources/CausewayCore/Wire/A.swift", text: #"let a = "\(f(try! g(")")) as! B) as!""#)
        #expect(BannedWordTests.banned(in: file).count == 2)
    }
}
