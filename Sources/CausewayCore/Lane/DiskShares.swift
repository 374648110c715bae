internal import Synchronization

/// What the shards of a disk with several queues have in common. Each shard is a disk of a lane of its own,
/// and the kernel may send to any of them; what one has answered binds the others.
///
/// * A FLUSH through one covers what all have acknowledged, and fails for a loss that any of them has
///   noticed.
/// * Once a shard has answered a write with an error that may still reach the medium, or its client is gone
///   while one is under way, none sends another before the fence.
/// * The kernel sends a request again through another socket when its time-out is over (`NBD_ATTR_TIMEOUT`
///   applies as soon as there are two sockets), while the first copy may still be under way. So a write waits
///   while another shard has an older one that half of that time has not ended.
///
/// Atomics, for a shard must know before it sends, and not when its lane next looks at its mailbox.
@safe
public final class DiskShares: @unchecked Sendable {
    // Unchecked, for the memory of `ledger` and `cells` is reached by pointers. It lives as long as this
    // object, which every shard's disk holds, and nothing in it is anything but atomic.
    public let count: Int
    fileprivate let ledger: UnsafeMutablePointer<Ledger>
    fileprivate let cells: UnsafeMutablePointer<Cell>
    fileprivate let patience: UInt64

    /// - Parameters:
    ///   - count: shards, 1 or more.
    ///   - kernelTimeoutMilliseconds: after which the kernel sends a request again.
    public init(count: Int, kernelTimeoutMilliseconds: UInt64) {
        precondition(count > 0)
        self.count = count
        patience = kernelTimeoutMilliseconds &* 1_000_000 / 2
        unsafe ledger = .allocate(capacity: 1)
        unsafe ledger.initialize(to: Ledger())
        unsafe cells = .allocate(capacity: count)
        for index in 0..<count { unsafe (cells + index).initialize(to: Cell()) }
    }

    /// The target lost acknowledged writes, and no FLUSH has said so.
    public var hasUntoldLoss: Bool {
        unsafe ledger.pointee.losses.load(ordering: .sequentiallyConsistent)
            > ledger.pointee.lossesTold.load(ordering: .sequentiallyConsistent)
    }

    deinit {
        unsafe ledger.deinitialize(count: 1)
        unsafe ledger.deallocate()
        unsafe cells.deinitialize(count: count)
        unsafe cells.deallocate()
    }

    /// What concerns all shards alike.
    fileprivate struct Ledger: ~Copyable {
        let acknowledged = Atomic<UInt64>(0)
        let flushed = Atomic<UInt64>(0)
        let losses = Atomic<UInt64>(0)
        let lossesTold = Atomic<UInt64>(0)
    }

    /// What one shard says of itself. Only its lane writes here. As long as a cache line, twice, for
    /// processors fetch them in pairs.
    fileprivate struct Cell: ~Copyable {
        let debts = Atomic<UInt64>(0)
        /// When its oldest write that has not ended began, at the latest; `.max`: there is none.
        let oldest = Atomic<UInt64>(.max)
        /// 1: it knows of a volatile cache of the LUN.
        let hasCache = Atomic<UInt64>(0)
        private let room = (
            UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0),
            UInt64(0), UInt64(0), UInt64(0), UInt64(0)
        )
    }
}

/// A place among the shards of a disk.
public struct DiskShare: Sendable {
    public let shares: DiskShares
    /// From 0.
    public let index: Int

    public init(shares: DiskShares, index: Int) {
        precondition(index >= 0 && index < shares.count)
        self.shares = shares
        self.index = index
    }
}

/// How the lane of a shard reaches what is shared: without a reference to count.
///
/// Safe because the lane's `Disk` holds the `DiskShares` whose memory this is, for as long as its row in the
/// table of disks is its.
@safe
struct ShareLink: BitwiseCopyable {
    private let ledger: UnsafeMutablePointer<DiskShares.Ledger>?
    private let cells: UnsafeMutablePointer<DiskShares.Cell>?
    private let index: Int32
    private let count: Int32
    private let patience: UInt64

    static var none: ShareLink { ShareLink(nil) }

    init(_ share: DiskShare?) {
        unsafe ledger = share?.shares.ledger
        unsafe cells = share?.shares.cells
        index = Int32(truncatingIfNeeded: share?.index ?? 0)
        count = Int32(truncatingIfNeeded: share?.shares.count ?? 0)
        patience = share?.shares.patience ?? 0
    }

    @inline(__always)
    var isSome: Bool { count != 0 }

    /// Nanoseconds after which the other shards' writes wait for one of this.
    var longestAge: UInt64 { patience }

    /// Nanoseconds within which the oldest write must be looked for again.
    var refreshInterval: UInt64 { patience / 4 }

    // MARK: This shard's cell

    func publish(debts: Int32) {
        guard let cells = unsafe cells else { return }
        unsafe cells[Int(index)].debts.store(UInt64(max(debts, 0)), ordering: .sequentiallyConsistent)
    }

    func publish(oldest: Instant?) {
        guard let cells = unsafe cells else { return }
        unsafe cells[Int(index)].oldest.store(oldest?.nanoseconds ?? .max, ordering: .sequentiallyConsistent)
    }

    func publish(oldestAtMost oldest: Instant) {
        guard let cells = unsafe cells else { return }
        unsafe cells[Int(index)].oldest.min(oldest.nanoseconds, ordering: .sequentiallyConsistent)
    }

    func publish(hasCache: Bool) {
        guard let cells = unsafe cells else { return }
        unsafe cells[Int(index)].hasCache.store(hasCache ? 1 : 0, ordering: .sequentiallyConsistent)
    }

    // MARK: The others' cells

    /// Whether another shard owes a fence.
    var othersOweFences: Bool {
        guard let cells = unsafe cells else { return false }
        for other in 0..<Int(count) where other != Int(index) {
            if unsafe cells[other].debts.load(ordering: .sequentiallyConsistent) != 0 { return true }
        }
        return false
    }

    /// Whether another shard knows of a volatile cache.
    @inline(never)
    func othersHaveCache() -> Bool {
        guard let cells = unsafe cells else { return false }
        for other in 0..<Int(count) where other != Int(index) {
            if unsafe cells[other].hasCache.load(ordering: .sequentiallyConsistent) != 0 { return true }
        }
        return false
    }

    /// Whether a write that began at `began` has to wait for another shard.
    func mustWait(began: Instant, now: Instant) -> Bool {
        guard let cells = unsafe cells else { return false }
        for other in 0..<Int(count) where other != Int(index) {
            if unsafe cells[other].debts.load(ordering: .sequentiallyConsistent) != 0 { return true }
            let oldest = unsafe cells[other].oldest.load(ordering: .sequentiallyConsistent)
            // The oldest of all never waits, or none would ever go.
            if oldest < began.nanoseconds, now.nanoseconds &- oldest > patience { return true }
        }
        return false
    }

    // MARK: The ledger

    var acknowledgedWrites: UInt64 {
        guard let ledger = unsafe ledger else { return 0 }
        return unsafe ledger.pointee.acknowledged.load(ordering: .sequentiallyConsistent)
    }

    func acknowledgeWrite() {
        guard let ledger = unsafe ledger else { return }
        unsafe ledger.pointee.acknowledged.add(1, ordering: .sequentiallyConsistent)
    }

    var flushedWrites: UInt64 {
        guard let ledger = unsafe ledger else { return 0 }
        return unsafe ledger.pointee.flushed.load(ordering: .sequentiallyConsistent)
    }

    func flushed(upTo mark: UInt64) {
        guard let ledger = unsafe ledger else { return }
        unsafe ledger.pointee.flushed.max(mark, ordering: .sequentiallyConsistent)
    }

    var losses: UInt64 {
        guard let ledger = unsafe ledger else { return 0 }
        return unsafe ledger.pointee.losses.load(ordering: .sequentiallyConsistent)
    }

    var lossesTold: UInt64 {
        guard let ledger = unsafe ledger else { return 0 }
        return unsafe ledger.pointee.lossesTold.load(ordering: .sequentiallyConsistent)
    }

    func noteLoss() {
        guard let ledger = unsafe ledger else { return }
        unsafe ledger.pointee.losses.add(1, ordering: .sequentiallyConsistent)
    }

    func lossesAreTold(upTo number: UInt64) {
        guard let ledger = unsafe ledger else { return }
        unsafe ledger.pointee.lossesTold.max(number, ordering: .sequentiallyConsistent)
    }
}
