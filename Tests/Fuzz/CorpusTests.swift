import Foundation
import FuzzTargets
import Testing

/// The corpus of `make fuzz`, a file a target and a line an input in base64: what once led somewhere new, and
/// every input that ever found a bug, with a word on it in the line above (`# …`).
@Suite("Fuzz corpus") struct CorpusTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "corpus")

    @Test("has been through every target without a trap", arguments: FuzzTarget.allCases)
    func corpus(_ target: FuzzTarget) throws {
        let file = Self.folder.appending(path: "\(target.rawValue).txt")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            .filter { !$0.hasPrefix("#") }
        #expect(lines.count > 20)
        for line in lines {
            let bytes = try #require(Data(base64Encoded: String(line)))
            bytes.withUnsafeBytes { target.run($0) }
        }
    }

    @Test("Nothing, and a long run of one byte", arguments: FuzzTarget.allCases)
    func plain(_ target: FuzzTarget) {
        target.run(UnsafeRawBufferPointer(start: nil, count: 0))
        for byte: UInt8 in [0, 1, 0x3f, 0x80, 0xff] {
            let bytes = [UInt8](repeating: byte, count: 5000)
            bytes.withUnsafeBytes { target.run($0) }
        }
    }
}
