import Testing

@testable import LinuxSystem

@Suite struct MailboxTests {
    @Test func wakesTheOwnerAndKeepsTheOrder() throws {
        let mailbox = try Mailbox<Int>()
        let poller = try TestPoller(slotCapacity: 1)
        try poller.add(mailbox.descriptor, slot: 0, for: [.readable, .edgeTriggered])
        #expect(!mailbox.hasMail)
        #expect(poller.wait(timeoutNanoseconds: 0) == 0)
        for number in 0..<3 { #expect(mailbox.send(number)) }
        #expect(mailbox.hasMail)
        #expect(poller.wait(timeoutNanoseconds: 0) == 1)
        #expect(mailbox.takeAll() == [0, 1, 2])
        #expect(!mailbox.hasMail)
        #expect(mailbox.takeAll() == [])
        mailbox.send(3)
        #expect(poller.wait(timeoutNanoseconds: 0) == 1)
        #expect(mailbox.takeAll() == [3])
    }

    @Test func aFullMailboxRefuses() throws {
        let mailbox = try Mailbox<Int>(capacity: 2)
        #expect(mailbox.send(1) && mailbox.send(2))
        #expect(!mailbox.send(3))
        #expect(mailbox.takeAll() == [1, 2])
        #expect(mailbox.send(4))
    }

    @Test func nothingIsLostBetweenThreads() throws {
        let mailbox = try Mailbox<Int>()
        let perSender = 2000
        let first = try startThread(name: "sender 1") {
            for number in 0..<perSender { mailbox.send(number * 2) }
        }
        let second = try startThread(name: "sender 2") {
            for number in 0..<perSender { mailbox.send(number * 2 + 1) }
        }
        let poller = try TestPoller(slotCapacity: 1)
        try poller.add(mailbox.descriptor, slot: 0, for: [.readable, .edgeTriggered])
        var received: [Int] = []
        while received.count < 2 * perSender, poller.wait(timeoutNanoseconds: 10_000_000_000) > 0 {
            received += mailbox.takeAll()
        }
        first.join()
        second.join()
        #expect(received.filter { $0 % 2 == 0 } == (0..<perSender).map { $0 * 2 })
        #expect(received.filter { $0 % 2 == 1 } == (0..<perSender).map { $0 * 2 + 1 })
    }
}
