/// Virtual time and what is to happen in it. Nothing waits: time jumps to the next event.
final class Timeline {
    /// Without the action itself: entries move about in the heap, and an action would be counted each time.
    private struct Entry {
        var time: UInt64
        /// Events of one moment happen in the order in which they were planned.
        var sequence: UInt64
        var slot: Int

        func isBefore(_ other: Entry) -> Bool {
            time != other.time ? time < other.time : sequence < other.sequence
        }
    }

    /// Nanoseconds. It begins at one second: zero means "never" in some places.
    private(set) var now: UInt64 = 1_000_000_000
    private(set) var eventCount: UInt64 = 0
    private var heap: [Entry] = []
    private var actions: [(() -> Void)?] = []
    private var freeSlots: [Int] = []
    private var sequence: UInt64 = 0

    var nextTime: UInt64? { heap.first?.time }

    func at(_ time: UInt64, _ action: @escaping () -> Void) {
        sequence += 1
        let slot = freeSlots.popLast() ?? actions.count
        if slot == actions.count { actions.append(action) } else { actions[slot] = action }
        heap.append(Entry(time: max(time, now), sequence: sequence, slot: slot))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    func after(_ nanoseconds: UInt64, _ action: @escaping () -> Void) { at(now + nanoseconds, action) }

    func advance(to time: UInt64) { now = max(now, time) }

    /// Lets the next event happen.
    func step() {
        guard let first = heap.first else { return }
        now = max(now, first.time)
        eventCount += 1
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        let action = actions[first.slot]
        actions[first.slot] = nil
        freeSlots.append(first.slot)
        action?()
    }

    private func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].isBefore(heap[least]) {
                least = child
            }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    func clear() {
        heap = []
        actions = []
        freeSlots = []
    }
}

/// What went wrong, what happened, and a number that stands for the whole history.
public final class Chronicle {
    /// The first violation; the history ends with it.
    public private(set) var failure: String?
    public private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    public private(set) var lines: [String] = []
    let isTracing: Bool
    let timeline: Timeline

    init(timeline: Timeline, isTracing: Bool) {
        self.timeline = timeline
        self.isTracing = isTracing
    }

    func fail(_ text: String) {
        guard failure == nil else { return }
        failure = text
        trace("FAIL", text)
    }

    @inline(__always)
    func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x0000_0100_0000_01b3
        hash ^= hash >> 29
    }

    /// One line: milliseconds, who, what.
    func trace(_ who: String, _ what: @autoclosure () -> String) {
        guard isTracing else { return }
        let microseconds = (timeline.now - 1_000_000_000) / 1000
        let time = padded("\(microseconds / 1000)", 8) + "." + zeros("\(microseconds % 1000)")
        lines.append("\(time)  \(who)\(String(repeating: " ", count: max(0, 8 - who.count))) \(what())")
    }

    private func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private func zeros(_ text: String) -> String {
        String(repeating: "0", count: max(0, 3 - text.count)) + text
    }
}
