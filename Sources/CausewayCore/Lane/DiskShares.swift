/// What the shards of a disk with several queues have in common, each in a lane of its own.
public final class DiskShares: Sendable {
    public let count: Int
    /// After so long the kernel may send a request again whose first copy is alive.
    public let kernelTimeoutMilliseconds: UInt64

    public init(count: Int, kernelTimeoutMilliseconds: UInt64) {
        self.count = count
        self.kernelTimeoutMilliseconds = kernelTimeoutMilliseconds
    }
}

/// Which of a disk's shards a lane serves.
public struct DiskShare: Sendable {
    public var shares: DiskShares
    public var index: Int

    public init(shares: DiskShares, index: Int) {
        self.shares = shares
        self.index = index
    }
}
