import ArgumentParser

/// One kind of load, as fio's options name it.
struct Workload: Hashable, Codable {
    var name: String
    var pattern: String
    var blockBytes: Int
    var depth: Int

    private init(_ blockKiB: Int, _ pattern: String, depth: Int) {
        name = "\(blockKiB)k-\(pattern)-qd\(depth)"
        self.pattern = pattern
        blockBytes = blockKiB << 10
        self.depth = depth
    }

    static let all = [
        Workload(4, "randread", depth: 1), Workload(4, "randwrite", depth: 1),
        Workload(4, "randread", depth: 32), Workload(4, "randwrite", depth: 32),
        Workload(128, "read", depth: 16), Workload(128, "write", depth: 16),
    ]
}

/// What the LUN is made of.
enum Medium: String, CaseIterable, Codable, ExpressibleByArgument {
    /// tgtd's `null` backing store: nothing is read or written, so the bridge is the larger part of the cost.
    case null
    /// A file on tmpfs behind tgtd's `rdwr` backing store.
    case memory
}
