import Testing

@testable import CausewayCore

@Suite struct PathChoiceTests {
    @Test func mostRecentlyUsedNeverFailsBack() {
        var choice = PathChoice()
        choice.isSingle = true
        choice.usable = 0b110
        #expect(choice.candidates == 0b010)
        choice.usable = 0b111
        #expect(choice.candidates == 0b010)
        choice.usable = 0b101
        #expect(choice.candidates == 0b001)
        choice.usable = 0b111
        #expect(choice.candidates == 0b001)
        choice.usable = 0
        #expect(choice.candidates == 0)
        choice.usable = 0b100
        #expect(choice.candidates == 0b100)
    }

    @Test func aSinglePathFollowsTheUsableOnes() {
        var choice = PathChoice()
        choice.isSingle = true
        choice.usable = 0b10
        #expect(choice.candidates == 0b10)
        choice.usable = 0b01
        #expect(choice.candidates == 0b01)
        choice.isSingle = false
        choice.usable = 0b11
        #expect(choice.candidates == 0b11)
        choice.isSingle = true
        #expect(choice.candidates == 0b01)
    }

    private func fixed(_ favourites: UInt32) -> PathChoice {
        var choice = PathChoice()
        choice.isSingle = true
        choice.favourites = favourites
        return choice
    }

    @Test func aFavouriteTakesOverAtOnceTheFirstTime() {
        var choice = fixed(0b10)
        choice.usable = 0b01
        #expect(choice.candidates == 0b01)
        choice.usable = 0b11
        do {
            let waits = choice.joined(1)
            #expect(!waits)
        }
        #expect(choice.candidates == 0b10)
    }

    @Test func aFavouriteThatWasLostHasToWait() {
        var choice = fixed(0b10)
        choice.usable = 0b11
        let waits = [choice.joined(0), choice.joined(1)]
        #expect(waits == [false, false])
        choice.usable = 0b01
        #expect(choice.candidates == 0b01)
        choice.usable = 0b11
        do {
            let waits = choice.joined(1)
            #expect(waits)
        }
        #expect(choice.candidates == 0b01)
        // Lost again before its time: nothing has moved.
        choice.usable = 0b01
        choice.settle()
        #expect(choice.candidates == 0b01)
        choice.usable = 0b11
        do {
            let waits = choice.joined(1)
            #expect(waits)
        }
        choice.settle()
        #expect(choice.candidates == 0b10)
        // Said twice, it is still settled.
        do {
            let waits = choice.joined(1)
            #expect(!waits)
        }
        #expect(choice.candidates == 0b10)
    }

    @Test func aFavouriteThatMustWaitIsBetterThanNone() {
        var choice = fixed(0b10)
        choice.usable = 0b10
        _ = choice.joined(1)
        choice.usable = 0
        choice.usable = 0b10
        do {
            let waits = choice.joined(1)
            #expect(waits)
        }
        #expect(choice.candidates == 0b10)
    }

    @Test func oneOfSeveralFavourites() {
        var choice = fixed(0b0110)
        choice.usable = 0b1111
        choice.settle()
        #expect(choice.candidates == 0b0010)
        choice.usable = 0b1101
        #expect(choice.candidates == 0b0100)
        // Its equal is no reason to move once more.
        choice.usable = 0b1111
        choice.settle()
        #expect(choice.candidates == 0b0100)
    }

    @Test func theHoldOffGrowsAndIsForgiven() {
        var failBack = FailBack()
        var now = Instant(nanoseconds: 5_000_000_000)
        var waits: [UInt64] = []
        for _ in 0..<8 {
            let at = failBack.found(now: now)
            waits.append(at.nanoseconds(since: now) / 1_000_000)
            now = at.adding(milliseconds: 500)
        }
        #expect(waits == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
        now = now.adding(milliseconds: 61_000)
        let at = failBack.found(now: now)
        #expect(at.nanoseconds(since: now) == 1_000_000_000)
    }
}
