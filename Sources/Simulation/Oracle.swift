/// What the disk may hold, from the client's view alone: every read is held against it, and at the end the
/// medium.
///
/// Each block has a history of acknowledged contents, oldest first. The last is what a read must return;
/// after a volatile cache was lost, anything from what a FLUSH last covered on. Contents that were written
/// and not acknowledged, or answered with an error, may be there as well, until a later write is
/// acknowledged: the fence promises that they cannot come after it.
final class Oracle {
    private struct Entry {
        var stamp: UInt64
        /// When it was acknowledged, in acknowledgements.
        var sequence: UInt64
    }

    private struct BlockState {
        var history = [Entry(stamp: 0, sequence: 0)]
        var unconfirmed: [UInt64] = []
        var isLossy = false
        /// The client was told of the loss of what was acknowledged up to then; a FLUSH promises nothing more
        /// about it.
        var reported: UInt64 = 0
    }

    private var states: [Int: BlockState] = [:]

    /// Blocks that are being read, and what a read that began before a write was acknowledged may still
    /// return.
    private struct Watch {
        var readers = 0
        var former: Set<UInt64> = []
    }

    private var watches: [Int: Watch] = [:]
    /// Blocks with more than one entry.
    private var uncovered: Set<Int> = []
    private(set) var sequence: UInt64 = 0
    let hasWriteCache: Bool
    private let disk: String
    private let chronicle: Chronicle

    /// - Parameter disk: what its failures begin with.
    init(disk: String, hasWriteCache: Bool, chronicle: Chronicle) {
        self.disk = disk
        self.hasWriteCache = hasWriteCache
        self.chronicle = chronicle
    }

    func writeBegins(_ lba: Int, _ stamp: UInt64) {
        if states[lba, default: BlockState()].unconfirmed.last != stamp {
            states[lba, default: BlockState()].unconfirmed.append(stamp)
        }
    }

    func readBegins(_ lba: Int) { watches[lba, default: Watch()].readers += 1 }

    func readEnds(_ lba: Int) {
        guard var watch = watches[lba] else { return }
        watch.readers -= 1
        watches[lba] = watch.readers > 0 ? watch : nil
    }

    /// - Parameters:
    ///   - isForced: FUA, so that it needs no FLUSH.
    ///   - crossedLoss: a cache was lost between its beginning and its end.
    func writeAcknowledged(_ lba: Int, _ stamp: UInt64, isForced: Bool, crossedLoss: Bool) {
        sequence += 1
        var state = states[lba] ?? BlockState()
        if watches[lba] != nil {
            let past = state.isLossy ? state.history : state.history.suffix(1)
            watches[lba]?.former.formUnion(state.unconfirmed + past.map(\.stamp))
        }
        let entry = Entry(stamp: stamp, sequence: sequence)
        if isForced || !hasWriteCache {
            state.history = [entry]
            state.isLossy = false
        } else {
            for old in state.unconfirmed where old != stamp {
                state.history.append(Entry(stamp: old, sequence: sequence))
            }
            state.history.append(entry)
            state.isLossy = crossedLoss
        }
        state.unconfirmed = []
        states[lba] = state
        if state.history.count > 1 { uncovered.insert(lba) } else { uncovered.remove(lba) }
    }

    /// A FLUSH ended well that began when `mark` acknowledgements had been given.
    func flushed(_ mark: UInt64) {
        for lba in uncovered {
            guard var state = states[lba],
                let last = state.history.lastIndex(where: { $0.sequence <= mark }),
                state.history[last].sequence > state.reported
            else { continue }
            state.history.removeFirst(last)
            if state.history.count == 1 {
                state.isLossy = false
                uncovered.remove(lba)
            }
            states[lba] = state
        }
    }

    /// A FLUSH failed: what was lost is known to be lost.
    func flushFailed() {
        for lba in uncovered where states[lba]?.isLossy == true { states[lba]?.reported = sequence }
    }

    func cacheLost() {
        for lba in uncovered { states[lba]?.isLossy = true }
    }

    private func isPermitted(_ lba: Int, _ stamp: UInt64) -> Bool {
        guard let state = states[lba] else { return stamp == 0 }
        if state.unconfirmed.contains(stamp) { return true }
        if state.isLossy { return state.history.contains { $0.stamp == stamp } }
        return state.history.last?.stamp == stamp
    }

    /// - Parameter who: "a read" or "the medium".
    func check(_ lba: Int, _ stamp: UInt64, _ who: String) {
        guard !isPermitted(lba, stamp), watches[lba]?.former.contains(stamp) != true else { return }
        let state = states[lba] ?? BlockState()
        let name = { (stamp: UInt64) in stamp == 0 ? "zeros" : "write \(BlockPattern.write(stamp))" }
        let wanted =
            state.isLossy
            ? state.history.map { name($0.stamp) } : state.history.suffix(1).map { name($0.stamp) }
        let open = state.unconfirmed.map(name)
        let isOlder = stamp != 0 && BlockPattern.lba(stamp) == lba
        chronicle.fail(
            "\(disk)\(who) of LBA \(lba) returned \(name(stamp))"
                + (isOlder ? ", " : " (or what was never there), ")
                + "acknowledged is \(wanted.joined(separator: " or "))"
                + (open.isEmpty ? "" : ", not acknowledged \(open.joined(separator: ", "))"))
    }

    var touched: [Int] { states.keys.sorted() }
}
