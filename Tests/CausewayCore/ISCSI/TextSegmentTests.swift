import Testing

@testable import CausewayCore

@Suite struct TextSegmentTests {
    @Test func pairs() throws {
        let text = Array("A=1\0TargetAlias=a=b\0Empty=\0\0\0".utf8)
        #expect(
            try TextSegment.parse(text) == [
                TextPair("A", "1"), TextPair("TargetAlias", "a=b"), TextPair("Empty", ""),
            ])
        #expect(try TextSegment.parse([]) == [])
        #expect(
            TextSegment.build([TextPair("A", "1"), TextPair(.sendTargets, "All")])
                == Array("A=1\0SendTargets=All\0".utf8))
    }

    @Test func malformed() {
        func parse(_ text: String) -> TextError? {
            do throws(TextError) { _ = try TextSegment.parse(Array(text.utf8)) } catch { return error }
            return nil
        }
        #expect(parse("A=1\0B=2") == .unterminated(offset: 4))
        #expect(parse("A\0") == .noEquals(offset: 0))
        #expect(parse("=1\0") == .keyLength(0, offset: 0))
        #expect(parse(String(repeating: "k", count: 63) + "=\0") == nil)
        #expect(parse(String(repeating: "k", count: 64) + "=\0") == .keyLength(64, offset: 0))
        #expect(parse("A b=1\0") == .illegalKey(offset: 0))
        #expect(parse("A=" + String(repeating: "v", count: 8192) + "\0") == nil)
        #expect(
            parse("A=" + String(repeating: "v", count: 8193) + "\0") == .valueTooLong(key: "A", bytes: 8193))
        #expect(parse(String(repeating: "A=\0", count: 256)) == nil)
        #expect(parse(String(repeating: "A=\0", count: 257)) == .tooManyPairs(256))
        #expect(parse("A=1\0B=2")?.description.hasPrefix("the target ") == true)
    }

    @Test func numbers() {
        #expect(TextValue.number("0") == 0)
        #expect(TextValue.number("18446744073709551615") == .max)
        #expect(TextValue.number("0xFFFFffffFFFFffff") == .max)
        #expect(TextValue.number("0X10") == 16)
        for text in [
            "", "-1", "+1", " 1", "1 ", "0x", "1a", "18446744073709551616", "0x10000000000000000", "0xg",
        ] {
            #expect(TextValue.number(text) == nil, "\(text)")
        }
        #expect(TextValue.range("1~0x10") == 1...16)
        for text in ["1", "~", "2~1", "1~2~3", "1~"] { #expect(TextValue.range(text) == nil, "\(text)") }
        #expect(TextValue.list("a,b") == ["a", "b"])
        #expect(TextValue.list("a,") == nil && TextValue.list("") == nil)
        #expect(TextValue.boolean("Yes") == true && TextValue.boolean("No") == false)
        #expect(TextValue.boolean("YES") == nil)
    }

    @Test func binaries() {
        func decode(_ text: String, _ limit: Int = 16) -> [UInt8]? {
            TextValue.binary(text, maximumByteCount: limit)
        }
        #expect(decode("0x0aFF") == [0x0a, 0xff])
        #expect(decode("0xabc") == [0x0a, 0xbc], "(n + 1) / 2 bytes")
        // RFC 4648 §10.
        #expect(decode("0bZm9vYmFy") == Array("foobar".utf8))
        #expect(decode("0BZm9vYmE=") == Array("fooba".utf8))
        #expect(decode("0bZm9vYg==") == Array("foob".utf8))
        for text in ["", "0x", "0b", "12", "0xzz", "0bZm9", "0bZm9vYmF!", "0b====", "0bZ===", "0bZm=v"] {
            #expect(decode(text) == nil, "\(text)")
        }
        #expect(decode("0x0011", 1) == nil)
        #expect(TextValue.hexadecimal([0x01, 0xfe]) == "0x01fe")
        #expect(decode(TextValue.hexadecimal([0, 1, 2])) == [0, 1, 2])
    }

    /// No bytes may trap or be misread silently: whatever parses, builds and parses again to the same.
    @Test func randomBytes() throws {
        var random = SeededGenerator(state: 7143)
        let alphabet = Array("Aa0=,~\0\0==xbX#-.:[]%\u{7f}".utf8) + [0xff, 0xc3]
        for _ in 0..<4000 {
            let text = (0..<Int.random(in: 0..<80, using: &random)).map { _ in
                alphabet.randomElement(using: &random)!
            }
            if let pairs = try? TextSegment.parse(text) {
                #expect(try TextSegment.parse(TextSegment.build(pairs)) == pairs)
                for pair in pairs {
                    for row in TextKey.table {
                        _ = row.isWellFormed(pair.value)
                        _ = row.answer(to: pair.value, wanted: row.defaultValue ?? "1")
                    }
                    _ = TextValue.binary(pair.value, maximumByteCount: 1024)
                }
            }
            _ = try? SendTargetsResponse(text)
        }
    }

    /// A text that is cut anywhere but behind a NUL is an error.
    @Test func truncation() {
        let text = Array("HeaderDigest=None\0MaxBurstLength=262144\0TargetAlias=x\0".utf8)
        for length in 1..<text.count {
            let isWhole = text[length - 1] == 0
            #expect(((try? TextSegment.parse(Array(text[..<length]))) != nil) == isWhole, "\(length)")
        }
    }
}
