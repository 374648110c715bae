import Testing

@testable import CausewayCore

@Suite struct PathTurnTests {
    /// The ordinals that commands of these sizes go to, all paths having room.
    private func order(
        _ policy: PathPolicy.RoundRobin, _ mask: UInt32, _ sizes: [Int32]
    ) -> [Int32] {
        var turn = PathTurn(policy)
        return sizes.map { bytes in
            let ordinal = PathTurn.first(of: mask, from: turn.start)
            turn.took(ordinal, bytes: bytes)
            return ordinal
        }
    }

    @Test func byCommands() {
        #expect(order(.init(commands: 1), 0b1011, [0, 1 << 20, 0, 0, 9]) == [1, 3, 0, 1, 3])
        #expect(order(.init(commands: 3), 0b11, [1, 1, 1, 1, 1, 1, 1]) == [1, 1, 1, 0, 0, 0, 1])
    }

    @Test func byBytes() {
        #expect(
            order(.init(bytes: 1000), 0b11, [600, 600, 600, 600, 0, 0, 5000, 1]) == [1, 1, 0, 0, 1, 1, 1, 0])
        // What has no data moves the turn on all the same.
        let empty = order(.init(bytes: 512), 0b11, Array(repeating: 0, count: 1000))
        #expect(empty.contains(0) && empty.contains(1))
    }

    @Test func byWhateverComesFirst() {
        let small = order(.standard, 0b11, Array(repeating: 4096, count: 17))
        #expect(small == Array(repeating: 1, count: 8) + Array(repeating: 0, count: 8) + [1])
        #expect(order(.standard, 0b11, [65536, 65536, 131_072, 65536]) == [1, 0, 1, 0])
        #expect(order(.standard, 0b11, [32768, 32768, 32768]) == [1, 1, 0])
    }

    @Test func everyOrdinalIsFound() {
        for ordinal in 0..<Int32(32) {
            for start in 0..<Int32(32) {
                #expect(PathTurn.first(of: 1 << UInt32(ordinal), from: start) == ordinal)
            }
        }
        #expect(PathTurn.first(of: .max, from: 31) == 31)
        #expect(PathTurn.first(of: 0b101, from: 1) == 2)
        #expect(PathTurn.first(of: 0b101, from: 3) == 0)
    }

    @Test func aPathWithoutRoomLosesItsTurn() {
        var turn = PathTurn(.init(commands: 4))
        turn.took(2, bytes: 1)
        #expect(turn.start == 2)
        // Another path had to take it: it has the turn now, whole.
        for _ in 0..<4 {
            turn.took(5, bytes: 1)
        }
        #expect(turn.start == 6)
    }
}
