extension ReservationStatus {
    /// What `causeway reserve` prints.
    public var lines: [String] {
        var lines: [String] = []
        switch (key, state) {
        case (nil, _): lines.append("\(name) is not registered")
        case (let key?, "evicted"):
            lines.append("\(name): another host has taken key \(key) away; writes fail")
            lines.append("  to register again: causeway reserve \(name) register")
        case (let key?, _): lines.append("\(name) is registered with key \(key)")
        }
        lines += paths.map { "  \($0)" }
        if let pinnedPath { lines.append("  pinned to \(pinnedPath)") }
        if let type {
            lines.append("reserved: \(type), " + (holder.map { "held by key \($0)" } ?? "held by all keys"))
        } else {
            lines.append("not reserved")
        }
        lines.append(keys.isEmpty ? "no keys" : "keys (generation \(generation)):")
        var counts: [(key: String, count: Int)] = []
        for key in keys {
            if let place = counts.firstIndex(where: { $0.key == key }) {
                counts[place].count += 1
            } else {
                counts.append((key, 1))
            }
        }
        lines += counts.map { entry in
            "  \(entry.key)  \(entry.count) \(entry.count == 1 ? "nexus" : "nexuses")"
                + (entry.key == key && state != "evicted" ? ", this host" : "")
        }
        return lines.map(\.escapedForTerminal)
    }
}
