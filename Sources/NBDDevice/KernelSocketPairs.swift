import Glibc

/// One socket pair for each hardware queue of a device, in the order of the queues.
public struct KernelSocketPairs: ~Copyable {
    /// Where requests arrive; -1 once taken.
    public private(set) var daemonEnds: [Int32]
    /// What goes into a `ConnectRequest` or `ReconnectRequest`; empty once closed.
    public private(set) var kernelEnds: [Int32]

    /// - Parameter bufferBytes: as `KernelSocketPair` has it.
    public init(count: Int, bufferBytes: Int32? = nil) throws(NBDDeviceError) {
        var made: [(daemon: Int32, kernel: Int32)] = []
        do throws(NBDDeviceError) {
            for _ in 0..<count { made.append(try KernelSocketPair(bufferBytes: bufferBytes).takeEnds()) }
        } catch {
            for ends in made {
                close(ends.daemon)
                close(ends.kernel)
            }
            throw error
        }
        daemonEnds = made.map(\.daemon)
        kernelEnds = made.map(\.kernel)
    }

    deinit {
        for end in daemonEnds + kernelEnds where end >= 0 { close(end) }
    }

    /// As soon as the call has ended: a copy that stays open here hides the kernel's hanging up.
    public mutating func closeKernelEnds() {
        for end in kernelEnds { close(end) }
        kernelEnds = []
    }

    /// Hands over one of the daemon's ends.
    public mutating func takeDaemonEnd(_ index: Int) -> Int32 {
        let end = daemonEnds[index]
        daemonEnds[index] = -1
        return end
    }
}
