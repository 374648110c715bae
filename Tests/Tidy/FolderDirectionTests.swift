import Testing

/// The folders of CausewayCore are floors: a folder uses no name that a folder above it declares.
@Suite struct FolderDirectionTests {
    /// What each folder may use besides itself.
    static let below: [String: Set<String>] = [
        "Wire": [],
        "SCSI": ["Wire"],
        "NBD": ["Wire"],
        "ISCSI": ["Wire", "SCSI"],
        "Multipath": ["Wire", "SCSI", "ISCSI"],
        "Lane": ["Wire", "SCSI", "ISCSI", "Multipath", "NBD"],
    ]

    static func wrongWay(in files: [SourceFile]) -> [Violation] {
        let core = files.filter { $0.module == "CausewayCore" && $0.isSwift }
        var violations: [Violation] = []
        var homes: [Substring: Set<String>] = [:]
        var ownNames: [String: Set<Substring>] = [:]
        var tokens: [String: [Token]] = [:]
        for file in core {
            guard let folder = file.folder, below[folder] != nil else {
                let known = below.keys.sorted().joined(separator: ", ")
                violations.append(Violation(file, 1, "is in none of the core's folders: \(known)"))
                continue
            }
            let fileTokens = Token.tokens(of: file)
            tokens[file.path] = fileTokens
            for declaration in Declaration.declarations(of: fileTokens)
            where declaration.keyword != "extension" {
                ownNames[folder, default: []].insert(declaration.name)
                if declaration.depth == 0 { homes[declaration.name, default: []].insert(folder) }
            }
        }
        for file in core {
            guard let folder = file.folder, let allowed = below[folder] else { continue }
            var seen: Set<Substring> = []
            for token in tokens[file.path] ?? [] where token.isWord && !token.followsDot {
                guard let home = homes[token.text], home.isDisjoint(with: allowed.union([folder])),
                    // A parameter or a nested type of the folder's own may have the same name.
                    ownNames[folder]?.contains(token.text) != true, seen.insert(token.text).inserted
                else { continue }
                let floor = home.sorted().joined(separator: ", ")
                violations.append(
                    Violation(file, token.line, "\(token.text) is declared in \(floor), above \(folder)"))
            }
        }
        return violations
    }

    @Test func `No folder looks up`() {
        report(FolderDirectionTests.wrongWay(in: Tree.sources))
    }

    @Test(arguments: [
        ("Wire", "SCSI"), ("SCSI", "ISCSI"), ("ISCSI", "Multipath"), ("Multipath", "Lane"), ("NBD", "SCSI"),
        ("NBD", "Lane"), ("SCSI", "NBD"), ("Multipath", "NBD"), ("Wire", "Lane"),
    ])
    func `A look upwards is found`(from: String, to: String) {
        let user = SourceFile(
            path: "Sources/CausewayCore/\(from)/User.swift",
            text: "struct User {\n    // Upper is above\n    var upper: [Upper]\n}\n")
        let upper = SourceFile(path: "Sources/CausewayCore/\(to)/Upper.swift", text: "public enum Upper {}\n")
        let found = FolderDirectionTests.wrongWay(in: [user, upper])
        #expect(found.map(\.path) == [user.path])
        #expect(found.map(\.line) == [3])
    }

    @Test(arguments: [
        ("Lane", "Wire"), ("Lane", "NBD"), ("ISCSI", "SCSI"), ("Multipath", "ISCSI"), ("NBD", "Wire"),
    ])
    func `A look downwards is not`(from: String, to: String) {
        let user = SourceFile(
            path: "Sources/CausewayCore/\(from)/User.swift",
            text: "extension Lower { func use(_: Lower) {} }\n")
        let lower = SourceFile(path: "Sources/CausewayCore/\(to)/Lower.swift", text: "public enum Lower {}\n")
        #expect(FolderDirectionTests.wrongWay(in: [user, lower]) == [])
    }

    @Test func `A file outside of the folders is found`() {
        let file = SourceFile(path: "Sources/CausewayCore/Loose.swift", text: "struct Loose {}\n")
        #expect(FolderDirectionTests.wrongWay(in: [file]).count == 1)
    }
}
