public import CausewayCore

/// A disk of a world: a LUN of the target, what the lane makes of it, and the clients that use it.
public final class SimulatedDisk {
    let index: Int
    let unit: SimulatedUnit
    let oracle: Oracle
    public let clients: [NBDClient]
    public internal(set) var id = DiskID(rawValue: -1)
    public internal(set) var isReady = false
    public internal(set) var isDetached = false
    /// Whether its last flush went well.
    public internal(set) var wasFlushed = false
    var description: DiskDescription?
    /// On record: a successor's FLUSH has to say so.
    var hasLostWrites = false
    /// As the kernel has it.
    var sizeBytes: UInt64 = 0

    init(
        index: Int, unit: SimulatedUnit, options: WorldOptions, timeline: Timeline, chronicle: Chronicle
    ) {
        self.index = index
        self.unit = unit
        let oracle = Oracle(
            disk: index == 0 ? "" : "disk\(index): ", hasWriteCache: options.unit.hasWriteCache,
            chronicle: chronicle)
        self.oracle = oracle
        // Numbers of writes are never those of another disk: what lands on the wrong one is seen.
        let blocks = BlocksInUse(firstWrite: UInt64(index) * 1_000_000 + 1)
        clients = (0..<options.clientsPerDisk).map { number in
            let name = index == 0 && number == 0 ? "client" : "client \(index).\(number)"
            return NBDClient(
                timeline: timeline, chronicle: chronicle, random: RandomStream(seed: options.seed, name),
                oracle: oracle, blocks: blocks, name: name, blockLength: options.unit.blockLength,
                weather: options.clientWeather,
                handshake: options.clientsNegotiate ? NBDHandshake(export: Self.name(index)) : nil)
        }
    }

    var name: String { Self.name(index) }
    private static func name(_ index: Int) -> String { index == 0 ? "disk" : "disk\(index)" }
    var lun: LogicalUnitNumber { LogicalUnitNumber(rawValue: unit.lun) }
}
