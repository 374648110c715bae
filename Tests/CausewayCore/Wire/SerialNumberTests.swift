import Testing

@testable import CausewayCore

@Suite struct SerialNumberTests {
    @Test func orderSurvivesTheWrap() {
        #expect(CmdSN(0xffff_ffff) < CmdSN(0))
        #expect(CmdSN(0).distance(from: CmdSN(0xffff_fffe)) == 2)
        #expect(!(CmdSN(5) < CmdSN(5)))
        #expect(CmdSN(5) <= CmdSN(5))
        #expect(StatSN(0xffff_ffff).next == StatSN(0))
    }
}
