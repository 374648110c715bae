import Testing

/// A place where the house rules are not kept.
struct Violation: Equatable, CustomStringConvertible {
    var path: String
    var line: Int
    var what: String

    init(_ file: SourceFile, _ line: Int, _ what: String) {
        path = file.path
        self.line = line
        self.what = what
    }

    var description: String { "\(path):\(line): \(what)" }
}

/// One failure for each violation, at its own place.
func report(_ violations: [Violation]) {
    for violation in violations {
        Issue.record(
            "\(violation)",
            sourceLocation: SourceLocation(
                fileID: "causeway/\(violation.path)",
                filePath: Tree.root.appending(path: violation.path).path(), line: violation.line, column: 1))
    }
}
