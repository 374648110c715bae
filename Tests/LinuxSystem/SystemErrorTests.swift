import Glibc
import Testing

@testable import LinuxSystem

@Suite struct SystemErrorTests {
    @Test func saysWhatFailedAndWhatToDo() {
        let error = SystemError(call: "connect", errno: .connectionRefused, subject: "10.0.0.1:3260 on eth1")
        #expect(
            error.description == "connect 10.0.0.1:3260 on eth1: Connection refused (ECONNREFUSED); "
                + "nothing listens there; check address and port and that the target is running"
        )
    }

    @Test func adviceDependsOnTheCall() {
        let connect = SystemError(call: "connect", errno: .accessDenied, subject: "10.0.0.1:3260")
        let open = SystemError(call: "open", errno: .accessDenied, subject: "/dev/x")
        #expect(connect.advice?.contains("firewall") == true)
        #expect(open.advice?.contains("root") == true)
    }

    @Test func aHintReplacesTheAdvice() {
        let error = SystemError(call: "bind", errno: .addressInUse, subject: "/run/x", hint: "look there")
        #expect(error.description == "bind /run/x: Address already in use (EADDRINUSE); look there")
    }

    @Test func unknownNumbersStayPrintable() {
        #expect(Errno(rawValue: 4095).description == "unknown error 4095 (errno 4095)")
        #expect(Errno(rawValue: ENODEV).name == "ENODEV")
    }

    @Test func aDescriptorIsClosedWithItsOwner() throws {
        let number: Int32
        do {
            let pair = try SocketPair()
            number = pair.laneEnd.rawValue
            #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
            #expect(fcntl(number, F_GETFL) & O_NONBLOCK != 0)
        }
        let wakeup = try Wakeup()
        let kept = OwnedDescriptor(adopting: dup(wakeup.rawValue)).release()
        #expect(fcntl(kept, F_GETFD) >= 0)
        close(kept)
        #expect(number >= 0)
    }

    @Test func bothEndsOfAPairCanBeTakenApart() throws {
        let pair = try SocketPair(bufferByteCount: 1 << 20)
        let kernelEnd = pair.kernelEnd
        let laneEnd = pair.laneEnd
        #expect(sendText("request", on: kernelEnd.rawValue) == 7)
        #expect(try receiveText(on: laneEnd.rawValue) == "request")
        let number = kernelEnd.release()
        close(number)
        #expect(try receiveText(on: laneEnd.rawValue) == "")
        #expect(sendText("x", on: laneEnd.rawValue) == -Int(EPIPE))
    }
}
