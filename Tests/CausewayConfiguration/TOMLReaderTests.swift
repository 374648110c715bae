import Testing

@testable import CausewayConfiguration

@Suite struct TOMLReaderTests {
    /// `key=value` of a document, tables flattened with dots, each with its line in front.
    static func flat(_ text: String) throws -> [String] { flat(try TOMLReader.read(text), "") }

    static func flat(_ table: TOMLTable, _ prefix: String) -> [String] {
        table.entries.flatMap { entry -> [String] in
            guard case .table(let inner) = entry.value else {
                return ["\(entry.line) \(prefix)\(entry.key)=\(shown(entry.value))"]
            }
            return flat(inner, "\(prefix)\(entry.key).")
        }
    }

    static func shown(_ value: TOMLValue) -> String {
        switch value {
        case .string(let text): text
        case .integer(let number): "\(number)"
        case .boolean(let flag): "\(flag)"
        case .array(let values): "[\(values.map(shown).joined(separator: " "))]"
        case .table(let table): "{\(flat(table, "").joined(separator: " "))}"
        }
    }

    @Test(arguments: [
        ("", []),
        ("# only a comment\r\n\n", []),
        ("a = 1", ["1 a=1"]),
        ("\n\na=-17 # why\n\tb\t=\t0x_ff\n", nil),
        ("a=0xFf\nb=0o17\nc=0b101\nd=1_000\ne=+5", ["1 a=255", "2 b=15", "3 c=5", "4 d=1000", "5 e=5"]),
        ("a=true\nb=false", ["1 a=true", "2 b=false"]),
        (#"a = "x\t\"\\\u00e9\U0001F600""#, ["1 a=x\t\"\\é😀"]),
        (#"a = 'C:\x'"#, [#"1 a=C:\x"#]),
        ("a = \"\"\"\none\\\n   two\"\"\"\nb=1", ["1 a=onetwo", "4 b=1"]),
        ("a = '''x\ny'''''\nb = 2", ["1 a=x\ny''", "3 b=2"]),
        ("a = [ 1,\n # two\n 2,\n]\nb = []", ["1 a=[1 2]", "5 b=[]"]),
        ("[a]\nb=1\n[a.c]\nd=2\n[e.f]\ng=3\n[e]\nh=4", ["2 a.b=1", "4 a.c.d=2", "6 e.f.g=3", "8 e.h=4"]),
        ("[t.\"iqn.2026-01.x:y\".chap]\nuser=\"u\"", ["2 t.iqn.2026-01.x:y.chap.user=u"]),
        ("a.b.c = 1\na.b.d = 2", ["1 a.b.c=1", "2 a.b.d=2"]),
        ("a = { b = 1, c.d = \"x\" }", ["1 a.b=1", "1 a.c.d=x"]),
        ("\"a b\" = 1\n'c' = 2\n\"\" = 3", ["1 a b=1", "2 c=2", "3 =3"]),
        ("a=-9223372036854775808", ["1 a=-9223372036854775808"]),
    ])
    func `What is TOML is read with its lines`(text: String, expected: [String]?) throws {
        if let expected {
            #expect(try Self.flat(text) == expected)
        } else {
            #expect(throws: TOMLError.self) { try Self.flat(text) }
        }
    }

    @Test(arguments: [
        ("a", 1), ("a =", 1), ("a = 1 2", 1), ("\na = 1\na = 2", 3), ("a = \"x", 1), ("a = \"x\ny\"", 1),
        ("a = \"\u{1}\"", 1), ("# \u{7}", 1), ("a = \"\\q\"", 1), ("a = \"\\ud800\"", 1), ("a = 'x", 1),
        ("\na = \"\"\"x\n\n", 2), ("a = [1", 1), ("a = [1 2]", 1), ("a = [,]", 1), ("a = {b=1", 1),
        ("a = {b=1,}", 1), ("a = {b=1}\na.c=2", 2), ("a = {b=1}\n[a]", 2), ("[a]\n[a]", 2),
        ("[a]\nb=1\n[a.b]", 3), ("a=1\n[a]", 2), ("a=1\n[a.b]", 2), ("a.b=1\n[a]", 2), ("a.b=1\n[a.c]", 2),
        ("[a.b]\n[a]\nb.c=1", 3), ("[[a]]", 1), ("[a", 1), ("[]", 1), ("[a] b=1", 1), ("a = 1.5", 1),
        ("a = 2026-01-01", 1), ("a = yes", 1), ("a = 01", 1), ("a = 1__0", 1), ("a = 0x", 1), ("a = _1", 1),
        ("a = 9223372036854775808", 1), ("a = 1\rb = 2", 1), ("= 1", 1), (".a = 1", 1), ("a. = 1", 1),
        ("é = 1", 1), ("a = inf", 1),
    ])
    func `What is not is an error with its line`(text: String, line: Int) {
        #expect { try TOMLReader.read(text) } throws: { error in (error as? TOMLError)?.line == line }
    }

    @Test func `Nesting has an end`() {
        let deep = "a = " + String(repeating: "[", count: 100_000)
        #expect(throws: TOMLError.self) { try TOMLReader.read(deep) }
        let tables = "a = " + String(repeating: "{a=", count: 100_000)
        #expect(throws: TOMLError.self) { try TOMLReader.read(tables) }
        let dots = String(repeating: "a.", count: 100_000) + "a = 1"
        #expect(throws: TOMLError.self) { try TOMLReader.read(dots) }
    }

    /// Nothing that a file may hold traps: every sample cut off everywhere, and each byte of it replaced.
    @Test func `No text traps`() {
        let sample = Array(
            "[a.\"b\"]\nc = \"x\\u00e9\"\nd=[1, 'y', {e = true}]\nf=\"\"\"g\\\n  h\"\"\"\n0x=0x1_f #\r\n".utf8
        )
        for end in 0...sample.count {
            _ = try? TOMLReader.read(String(decoding: sample[..<end], as: UTF8.self))
        }
        for place in sample.indices {
            for byte in [0, 0x0a, 0x0d, 0x22, 0x27, 0x5b, 0x5d, 0x7b, 0x7d, 0x5c, 0x2e, 0x3d, 0x80, 0xff] {
                var changed = sample
                changed[place] = UInt8(byte)
                _ = try? TOMLReader.read(String(decoding: changed, as: UTF8.self))
            }
        }
    }
}
