import Foundation

/// The package's files, read once. What is made (`.build`) and what is not text is left out.
enum Tree {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().standardizedFileURL

    static let files: [SourceFile] = {
        var files: [SourceFile] = []
        let walk = FileManager.default.enumerator(at: root, includingPropertiesForKeys: [.isRegularFileKey])
        while let url = walk?.nextObject() as? URL {
            let name = url.lastPathComponent
            // .build may have a suffix, so that two builds can stand side by side.
            if name == ".git" || name.hasPrefix(".build") || name == "Package.resolved" {
                walk?.skipDescendants()
                continue
            }
            guard (try? url.resourceValues(forKeys: [.isRegularFileKey]))?.isRegularFile == true,
                let text = try? String(contentsOf: url, encoding: .utf8)
            else { continue }
            let path = url.standardizedFileURL.path().dropFirst(root.path().count)
            files.append(SourceFile(path: String(path), text: text))
        }
        return files.sorted { $0.path < $1.path }
    }()

    static let swift = files.filter(\.isSwift)
    /// The Swift files under Sources.
    static let sources = swift.filter(\.isSource)
}
