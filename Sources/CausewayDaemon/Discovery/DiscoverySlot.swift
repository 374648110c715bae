import Synchronization

/// The number of a discovery among those that run at the same time, the lowest that is free. It is part of
/// the ISIDs, so that two people who look at one target do not take each other's sessions away, and yet the
/// same few ISIDs come back every time: targets remember them.
struct DiscoverySlot: ~Copyable {
    private static let taken = Mutex<Set<Int>>([])

    let number: Int

    init() {
        number = Self.taken.withLock { taken in
            var number = 0
            while taken.contains(number) { number += 1 }
            taken.insert(number)
            return number
        }
    }

    deinit {
        let number = number
        Self.taken.withLock { taken in _ = taken.remove(number) }
    }
}
