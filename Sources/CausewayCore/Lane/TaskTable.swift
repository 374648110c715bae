/// What a SCSI task of a lane is for.
enum TaskKind: UInt8, BitwiseCopyable {
    case read, write, synchronizeCache, unmap, writeSame, getLBAStatus
    /// A command of the lane itself, answered to the cold side: a probe's question.
    case inquiry
    /// An ORDERED TEST UNIT READY, for a fence. `lba` is one more than the path that owes it, where that is
    /// another than the one that carries it.
    case barrier
    /// A READ that was sent a second time on another path; the copy is a `hedge`. The first answer wins.
    case hedgedRead
    /// The second copy of a READ: what it brings gathers in memory of its own.
    case hedge
    /// A command that nobody waits for any more, a READ whose other copy was answered first or one that was
    /// sent anew: what it still brings is thrown away.
    case discarded
    /// An ORDERED TEST UNIT READY behind commands that a LOGICAL UNIT RESET may have ended.
    case resetBarrier
    /// A TEST UNIT READY of which only matters that it is answered.
    case signOfLife
    /// REPORT TARGET PORT GROUPS.
    case accessReport
    /// SET TARGET PORT GROUPS.
    case accessSetting
    /// REPORT LUNS, of LUN 0.
    case inventory
    /// PERSISTENT RESERVE IN.
    case reservationReport
    /// PERSISTENT RESERVE OUT.
    case reservationOrder
    /// An INQUIRY after a barrier: who has answered it. `lba` as for the barrier, `blocks` a `WitnessPage`.
    case witness

    /// Whether the command changes state, so that a second copy of it must wait for the fence.
    @inline(__always)
    var isWrite: Bool {
        switch self {
        case .write, .unmap, .writeSame, .accessSetting, .reservationOrder: true
        case .read, .synchronizeCache, .getLBAStatus, .inquiry, .barrier, .resetBarrier, .signOfLife,
            .accessReport, .inventory, .reservationReport, .hedgedRead, .hedge, .discarded,
            .witness:
            false
        }
    }

    /// More data than this is large, for the history of a path, bytes.
    static var smallBytes: Int32 { 65536 }

    /// The row of a path's history that an answer belongs to: reads and writes, small and large; all others.
    @inline(__always)
    func historyRow(byteCount: Int32) -> Int {
        rawValue < 2 ? Int(rawValue) &* 2 &+ (byteCount > Self.smallBytes ? 1 : 0) : 4
    }
}

enum TaskState: UInt8, BitwiseCopyable {
    case free
    /// Waits in its disk's queue for a path with room. Can move to: inFlight, free (failed).
    case pending
    /// On a path, sent or about to be. Can move to: free (answered), pending (to be sent again), held (path
    /// lost).
    case inFlight
    /// A sent write whose path was lost: waits for the fence, or to go on elsewhere (TASK REASSIGN). Or in no
    /// list, a slot whose tag the target may still know. Can move to: pending, inFlight, free.
    case held
    /// Waits for a moment before it is sent again (BUSY, TASK SET FULL). Can move to: pending, free.
    case delayed
}

/// One SCSI command of a request.
@safe
struct Task: BitwiseCopyable {
    var state = TaskState.free
    var kind = TaskKind.read
    /// FORCE UNIT ACCESS (SBC-4 4.15) on a write.
    var forceUnitAccess = false
    /// WRITE SAME may deallocate; UNMAP is its own kind.
    var mayUnmap = false
    var attempts: UInt8 = 0
    /// How often ABORT TASK was asked for.
    var aborts: UInt8 = 0
    /// Part of the tag: a late answer to the slot's earlier task is not taken for this one's.
    var generation: UInt16 = 0

    var request: Int32 = -1
    var disk: Int32 = -1
    /// The path it is on, was held by, or -1.
    var path: Int32 = -1
    var previous: Int32 = -1
    var next: Int32 = -1
    /// Link in its path's queue of tasks with Data-Out to send.
    var nextTransfer: Int32 = -1

    var lba: UInt64 = 0
    var blocks: UInt32 = 0
    /// Blocks after these that the task has still to fill with zeros.
    var restBlocks: UInt32 = 0
    /// Bytes of Data-Out or expected Data-In.
    var byteCount: Int32 = 0
    /// Data-In bytes that arrived, in order; of a write, bytes that go unasked or that R2Ts asked for.
    var received: Int32 = 0
    /// Bytes that R2Ts asked for, some of them twice.
    var asked: Int32 = 0
    /// Of Data-In; of a write, of R2Ts.
    var nextDataSN: UInt32 = 0
    /// Where in the request's data this task's bytes lie.
    var offset: Int32 = 0
    /// Bytes to write.
    var data: UnsafeRawPointer? = nil
    /// Pinned as long as `data` may still be needed.
    var chunk = ChunkID.none
    var cmdSN = CmdSN(0)
    /// The generation under which TASK REASSIGN has brought it to its path.
    var reassignedAs = UInt32.max
    var issuedAt = Instant(nanoseconds: 0)
    /// For `PathLoad`.
    var mark = PathLoad.noMark
    /// How long the command has been put off because the target asked for patience.
    var putOffMilliseconds: UInt64 = 0
    /// When a delayed task may go.
    var dueAt = Instant(nanoseconds: 0)

    /// The Initiator Task Tag: the slot, and a generation so that a late answer to an earlier task is
    /// recognised.
    @inline(__always)
    static func tag(slot: Int32, generation: UInt16) -> UInt32 {
        UInt32(generation) << 16 | UInt32(truncatingIfNeeded: slot) & 0xffff
    }
}

/// Data that the target asked for by R2T (or may be sent unasked), of one task, in the order of arrival.
struct TransferQueue: BitwiseCopyable {
    /// MaxOutstandingR2T that the initiator offers.
    static let capacity = 8

    struct Transfer: BitwiseCopyable {
        var targetTransferTag: UInt32 = reservedTag
        var offset: UInt32 = 0
        var remaining: UInt32 = 0
        var dataSN: UInt32 = 0
    }

    private var transfers = [8 of Transfer](repeating: Transfer())
    private var head: UInt8 = 0
    private(set) var count: UInt8 = 0

    @inline(__always)
    mutating func append(_ transfer: Transfer) -> Bool {
        guard count < Self.capacity else { return false }
        transfers[Int((head &+ count) & 7)] = transfer
        count &+= 1
        return true
    }

    @inline(__always)
    var first: Transfer {
        get { transfers[Int(head & 7)] }
        set { transfers[Int(head & 7)] = newValue }
    }

    @inline(__always)
    mutating func removeFirst() {
        head = (head &+ 1) & 7
        count &-= 1
    }
}

/// A doubly linked list of tasks through their own slots, oldest first.
struct TaskList: BitwiseCopyable {
    private(set) var first: Int32 = -1
    private(set) var last: Int32 = -1
    private(set) var count: Int32 = 0

    @inline(__always) var isEmpty: Bool { first < 0 }

    @inline(__always)
    mutating func append(_ index: Int32, _ tasks: borrowing Slots<Task>) {
        tasks[index].previous = last
        tasks[index].next = -1
        if last >= 0 { tasks[last].next = index } else { first = index }
        last = index
        count &+= 1
    }

    @inline(__always)
    mutating func prepend(_ index: Int32, _ tasks: borrowing Slots<Task>) {
        tasks[index].previous = -1
        tasks[index].next = first
        if first >= 0 { tasks[first].previous = index } else { last = index }
        first = index
        count &+= 1
    }

    @inline(__always)
    mutating func remove(_ index: Int32, _ tasks: borrowing Slots<Task>) {
        let previous = tasks[index].previous
        let next = tasks[index].next
        if previous >= 0 { tasks[previous].next = next } else { first = next }
        if next >= 0 { tasks[next].previous = previous } else { last = previous }
        count &-= 1
    }
}
