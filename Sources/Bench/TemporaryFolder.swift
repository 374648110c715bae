import Foundation
import Glibc

/// A folder of this run alone, removed with all that is in it at the end.
final class TemporaryFolder {
    let path: String
    private var used = 0

    /// Under `parent`, or where TMPDIR says. Sockets are put in it, and their paths may have 107 bytes only.
    init(under parent: String? = nil) throws(BenchError) {
        let parent = parent ?? ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        var template = Array("\(parent)/causeway-bench.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .system("a folder under \(parent)", errno: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A path that nothing has used before in this run.
    func unusedPath(_ name: String) -> String {
        used += 1
        return "\(path)/\(used)-\(name)"
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
