import Glibc
import Testing

@testable import NBDDevice

@Suite struct KernelSocketPairTests {
    @Test func quietWhileTheOtherEndIsHeld() throws {
        let pair = try KernelSocketPair()
        #expect(KernelSocketPair.verifyAdopted(daemonEnd: pair.daemonEnd, quietMilliseconds: 1) == .quiet)
    }

    @Test func droppedWhenNobodyHoldsIt() throws {
        var pair = try KernelSocketPair()
        pair.closeKernelEnd()
        #expect(pair.kernelEnd == -1)
        #expect(KernelSocketPair.verifyAdopted(daemonEnd: pair.daemonEnd) == .dropped)
    }

    @Test func inUseWhenRequestsArriveAndNoneIsEaten() throws {
        let pair = try KernelSocketPair()
        #expect(write(pair.kernelEnd, "abc", 3) == 3)
        #expect(KernelSocketPair.verifyAdopted(daemonEnd: pair.daemonEnd) == .inUse)
        var bytes = [UInt8](repeating: 0, count: 8)
        #expect(read(pair.daemonEnd, &bytes, 8) == 3)
    }

    @Test func aHangUpBehindBytesIsADrop() throws {
        var pair = try KernelSocketPair()
        #expect(write(pair.kernelEnd, "abc", 3) == 3)
        pair.closeKernelEnd()
        #expect(KernelSocketPair.verifyAdopted(daemonEnd: pair.daemonEnd) == .dropped)
    }

    @Test func aDescriptorThatIsNoneIsADrop() {
        #expect(KernelSocketPair.verifyAdopted(daemonEnd: 1_000_000, quietMilliseconds: 1) == .dropped)
    }

    @Test func bothEndsCloseOnExecAndHandOver() throws {
        let pair = try KernelSocketPair(bufferBytes: 1 << 20)
        #expect(fcntl(pair.daemonEnd, F_GETFD) & FD_CLOEXEC != 0)
        #expect(fcntl(pair.kernelEnd, F_GETFD) & FD_CLOEXEC != 0)
        let end = pair.takeDaemonEnd()
        #expect(fcntl(end, F_GETFD) >= 0)
        close(end)
    }

    @Test func severalPairsInTheOrderOfTheQueues() throws {
        var taken: Int32 = -1
        do {
            var pairs = try KernelSocketPairs(count: 3, bufferBytes: 1 << 20)
            let (daemonEnds, kernelEnds) = (pairs.daemonEnds, pairs.kernelEnds)
            #expect(daemonEnds.count == 3 && kernelEnds.count == 3)
            #expect((daemonEnds + kernelEnds).allSatisfy { fcntl($0, F_GETFD) & FD_CLOEXEC != 0 })
            taken = pairs.takeDaemonEnd(1)
            #expect(taken == daemonEnds[1])
            pairs.closeKernelEnds()
            // Nobody holds its other end any more.
            #expect(KernelSocketPair.verifyAdopted(daemonEnd: taken) == .dropped)
        }
        #expect(fcntl(taken, F_GETFD) >= 0)
        close(taken)
    }
}
