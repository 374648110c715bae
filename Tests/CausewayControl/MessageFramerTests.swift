import CausewayControl
import Testing

@Suite struct MessageFramerTests {
    static let messages = [#"{"method":"a.b.C"}"#, "", #"{"x":"\u0000"}"#, "{}"]
    static let stream: [UInt8] = messages.flatMap { Array($0.utf8) + [0] }

    private func feed(_ pieces: [ArraySlice<UInt8>], limit: Int = 100) throws -> [String] {
        var framer = MessageFramer(limitBytes: limit)
        var seen: [String] = []
        for piece in pieces {
            framer.append(piece)
            while let message = try framer.next() { seen.append(String(decoding: message, as: UTF8.self)) }
        }
        #expect(framer.pendingByteCount == 0)
        return seen
    }

    @Test func wholeStreamAtOnce() throws {
        #expect(try feed([Self.stream[...]]) == Self.messages)
    }

    @Test func oneByteAtATime() throws {
        #expect(try feed(Self.stream.indices.map { Self.stream[$0...$0] }) == Self.messages)
    }

    @Test func splitAtEveryPoint() throws {
        for cut in 0...Self.stream.count {
            #expect(try feed([Self.stream[..<cut], Self.stream[cut...]]) == Self.messages)
        }
    }

    @Test func aMessageOfExactlyTheLimitPasses() throws {
        let message = [UInt8](repeating: 0x20, count: 100)
        #expect(try feed([message[...], [0]]).count == 1)
    }

    @Test func aLongerMessageIsRefusedWithItsEnd() {
        var framer = MessageFramer(limitBytes: 100)
        framer.append([UInt8](repeating: 0x20, count: 101) + [0])
        #expect(throws: WireError.messageTooLong(limitBytes: 100)) { try framer.next() }
    }

    @Test func aLongerMessageIsRefusedBeforeItsEnd() {
        var framer = MessageFramer(limitBytes: 100)
        framer.append([UInt8](repeating: 0x20, count: 101))
        #expect(throws: WireError.messageTooLong(limitBytes: 100)) { try framer.next() }
    }

    @Test func aLongStreamOfShortMessagesKeepsTheBufferSmall() throws {
        var framer = MessageFramer(limitBytes: 100)
        var count = 0
        // Every append leaves half a message behind, so the buffer is never empty.
        framer.append(Array("{".utf8))
        for _ in 0..<10_000 {
            framer.append(Array("}\0{".utf8))
            while try framer.next() != nil { count += 1 }
            #expect(framer.pendingByteCount == 1)
        }
        #expect(count == 10_000)
    }
}
