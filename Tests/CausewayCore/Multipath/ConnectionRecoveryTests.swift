import Testing

@testable import CausewayCore

@Suite("The recovery of a connection's commands (ErrorRecoveryLevel 2)")
struct ConnectionRecoveryTests {
    private func at(_ milliseconds: UInt64) -> Instant {
        Instant(nanoseconds: 1_000_000_000).adding(milliseconds: milliseconds)
    }

    private func recovery(_ numbers: [UInt32], left: Set<UInt32> = [], wait: Int = 0, retain: Int = 20)
        -> ConnectionRecovery
    {
        ConnectionRecovery(
            numbers: numbers.map { CmdSN($0) }, goesOn: numbers.map { !left.contains($0) }, time2Wait: wait,
            time2Retain: retain, now: at(0))
    }

    private func logout(_ response: LogoutResponse.Response = .closed, wait: UInt32 = 0, retain: UInt32 = 20)
        -> LogoutResponse
    {
        var header = BasicHeaderSegment(opcode: .logoutResponse)
        header[byte: 2] = response.rawValue
        header[10] = wait << 16 | retain
        return LogoutResponse(header)
    }

    /// One whose logout was answered at once, with what comes next.
    private func settling(_ numbers: [UInt32], left: Set<UInt32> = [], expCmdSN: UInt32)
        -> ConnectionRecovery
    {
        var machine = recovery(numbers, left: left)
        #expect(machine.next(now: at(0)) == .logOut)
        machine.logoutAnswered(logout(), expCmdSN: CmdSN(expCmdSN), now: at(1))
        return machine
    }

    @Test("fills the numbers that the target has not counted first, then asks for the rest")
    func order() {
        var machine = settling([7, 8, 10, 11], expCmdSN: 10)
        #expect(machine.next(now: at(1)) == .deliver(2))
        #expect(machine.next(now: at(1)) == .deliver(3))
        #expect(machine.next(now: at(1)) == .reassign(0))
        #expect(machine.next(now: at(1)) == .reassign(1))
        #expect(machine.next(now: at(1)) == .wait(until: at(5001)))
        #expect(machine.answered(1, .functionComplete, now: at(2)) == .reassigned)
        #expect(machine.answered(1, .functionComplete, now: at(2)) == nil, "it is settled")
        #expect(machine.answered(9, .functionComplete, now: at(2)) == nil)
        #expect(machine.answered(0, .taskDoesNotExist, now: at(2)) == .unknown)
        #expect(machine.next(now: at(2)) == .finish)
        #expect(machine.next(now: at(2)) == .finish)
    }

    @Test("is over with the logout where nothing was under way")
    func nothing() {
        var machine = settling([], expCmdSN: 10)
        #expect(machine.next(now: at(1)) == .finish)
    }

    @Test("does not ask for what need not go on, but fills its number")
    func leftBehind() {
        var machine = settling([7, 8, 10, 11], left: [7, 10], expCmdSN: 10)
        #expect(machine.next(now: at(1)) == .deliver(2))
        #expect(machine.next(now: at(1)) == .deliver(3))
        #expect(machine.next(now: at(1)) == .reassign(1))
        #expect(machine.next(now: at(1)) == .wait(until: at(5001)))
        #expect(machine.answered(0, .functionComplete, now: at(2)) == nil, "it was not asked for")
        #expect(machine.answered(1, .functionComplete, now: at(2)) == .reassigned)
        #expect(machine.next(now: at(2)) == .finish)
    }

    @Test("counts numbers on past their end")
    func wraps() {
        var machine = settling([0xffff_fffe, 0xffff_ffff, 0], expCmdSN: 0xffff_ffff)
        #expect(machine.next(now: at(1)) == .deliver(1))
        #expect(machine.next(now: at(1)) == .deliver(2))
        #expect(machine.next(now: at(1)) == .reassign(0))
    }

    @Test("waits as long as the target wants, before the logout and after it")
    func time2Wait() {
        var machine = recovery([1], wait: 2)
        #expect(machine.next(now: at(0)) == .wait(until: at(2000)))
        machine.logoutAnswered(logout(), expCmdSN: CmdSN(2), now: at(1))
        #expect(machine.next(now: at(1999)) == .wait(until: at(2000)), "nothing was asked")
        #expect(machine.next(now: at(2000)) == .logOut)
        #expect(machine.next(now: at(2000)) == .wait(until: at(4000)))
        machine.logoutAnswered(logout(wait: 3), expCmdSN: CmdSN(2), now: at(2100))
        #expect(machine.next(now: at(2100)) == .wait(until: at(5100)))
        #expect(machine.next(now: at(5100)) == .reassign(0))
        // What the target does not have need not wait; and nothing waits for very long.
        machine = recovery([1, 2])
        #expect(machine.next(now: at(0)) == .logOut)
        machine.logoutAnswered(logout(wait: 3), expCmdSN: CmdSN(2), now: at(1))
        #expect(machine.next(now: at(1)) == .deliver(1))
        #expect(machine.next(now: at(1)) == .wait(until: at(3001)))
        machine = recovery([1])
        #expect(machine.next(now: at(0)) == .logOut)
        machine.logoutAnswered(logout(wait: 6), expCmdSN: CmdSN(2), now: at(1))
        #expect(machine.next(now: at(1)) == .fail(.late))
    }

    @Test("gives up when the logout is not answered, or not well")
    func logoutFails() {
        var machine = recovery([1])
        #expect(machine.next(now: at(0)) == .logOut)
        #expect(machine.next(now: at(2000)) == .fail(.logoutNotAnswered))
        machine.logoutAnswered(logout(), expCmdSN: CmdSN(1), now: at(2001))
        #expect(machine.next(now: at(2001)) == .fail(.logoutNotAnswered), "too late")
        for response: LogoutResponse.Response in [.cidNotFound, .recoveryNotSupported, .cleanupFailed] {
            machine = recovery([1])
            #expect(machine.next(now: at(0)) == .logOut)
            machine.logoutAnswered(logout(response), expCmdSN: CmdSN(1), now: at(1))
            #expect(machine.next(now: at(1)) == .fail(.logoutRefused(response)))
            let failure = ConnectionRecovery.Failure.logoutRefused(response)
            #expect(failure.isForGood == (response == .recoveryNotSupported))
        }
    }

    @Test("asks again for what is still allegiant, until Time2Retain is over")
    func stillAllegiant() {
        var machine = settling([1, 2], expCmdSN: 3)
        #expect(machine.next(now: at(1)) == .reassign(0))
        #expect(machine.next(now: at(1)) == .reassign(1))
        #expect(machine.answered(0, .taskStillAllegiant, now: at(10)) == .denied)
        #expect(machine.next(now: at(10)) == .wait(until: at(110)))
        #expect(machine.next(now: at(110)) == .reassign(0))
        #expect(machine.answered(1, .functionComplete, now: at(111)) == .reassigned)
        #expect(machine.next(now: at(111)) == .wait(until: at(5001)))
        #expect(machine.next(now: at(5001)) == .fail(.late))
        #expect(machine.answered(0, .functionComplete, now: at(5001)) == nil)
        // A shorter Time2Retain is what counts; one that is not filled in says nothing.
        for (retain, end) in [(1 as UInt32, 1001 as UInt64), (0, 5001)] {
            machine = recovery([1])
            #expect(machine.next(now: at(0)) == .logOut)
            machine.logoutAnswered(logout(retain: retain), expCmdSN: CmdSN(3), now: at(1))
            #expect(machine.next(now: at(1)) == .reassign(0))
            #expect(machine.next(now: at(1)) == .wait(until: at(end)))
        }
    }

    @Test("gives up on any other answer, and for good", arguments: [2, 4, 5, 6, 7, 255] as [UInt8])
    func refused(_ rawValue: UInt8) {
        let response = TaskManagementResponse.Response(rawValue: rawValue)
        var machine = settling([1, 2], expCmdSN: 3)
        #expect(machine.next(now: at(1)) == .reassign(0))
        #expect(machine.answered(0, response, now: at(2)) == .refused)
        #expect(machine.next(now: at(2)) == .fail(.reassignmentRefused(response)))
        #expect(ConnectionRecovery.Failure.reassignmentRefused(response).isForGood)
    }

    @Test("asks for no more than a few at a time")
    func bounded() {
        let most = ConnectionRecovery.askedAtOnce
        var machine = settling((1...40).map { $0 }, expCmdSN: 41)
        for index in 0..<most { #expect(machine.next(now: at(1)) == .reassign(index)) }
        #expect(machine.next(now: at(1)) == .wait(until: at(5001)))
        for index in 0..<40 {
            #expect(machine.answered(index, .functionComplete, now: at(2)) == .reassigned)
            let next = machine.next(now: at(2))
            #expect(
                next
                    == (index + most < 40
                        ? .reassign(index + most) : index < 39 ? .wait(until: at(5001)) : .finish))
        }
    }

    @Test("asks for one at a time where the target has no room for more")
    func rejected() {
        var machine = settling([1, 2, 3], expCmdSN: 4)
        for index in 0..<3 { #expect(machine.next(now: at(1)) == .reassign(index)) }
        machine.rejected(1, now: at(2))
        machine.rejected(2, now: at(2))
        #expect(machine.next(now: at(200)) == .wait(until: at(5001)), "one is asked for still")
        #expect(machine.answered(0, .functionComplete, now: at(200)) == .reassigned)
        #expect(machine.next(now: at(200)) == .reassign(1))
        #expect(machine.next(now: at(200)) == .wait(until: at(5001)))
    }

    @Test("knows until when the target remembers")
    func forgotten() {
        var machine = recovery([1], wait: 1, retain: 3)
        #expect(machine.forgottenAt == at(4000))
        #expect(machine.next(now: at(1000)) == .logOut)
        machine.logoutAnswered(logout(wait: 2, retain: 0), expCmdSN: CmdSN(2), now: at(1500))
        #expect(machine.forgottenAt == at(6500), "LIO fills nothing in")
    }

    @Test("says what went wrong")
    func texts() {
        #expect(
            ConnectionRecovery.Failure.reassignmentRefused(.reassignmentNotSupported).description
                == "TASK REASSIGN is answered: task allegiance reassignment not supported")
        #expect("\(ConnectionRecovery.Failure.late)".contains("in time"))
        #expect("\(ConnectionRecovery.Failure.logoutNotAnswered)".contains("not answered"))
        #expect("\(ConnectionRecovery.Failure.logoutRefused(.cidNotFound))".contains("not found"))
    }
}
