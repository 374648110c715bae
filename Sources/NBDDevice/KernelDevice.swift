import Glibc

/// `/dev/nbdX` as sysfs shows it. Reading never waits for the device; only `apply` may.
public struct KernelDevice: Equatable, Sendable {
    public let index: UInt32
    let system: SystemRoot

    public init(index: UInt32, in system: SystemRoot = .live) {
        self.index = index
        self.system = system
    }

    public var name: String { "nbd\(index)" }
    /// `/dev/nbdX`.
    public var node: String { "\(system.devices)/\(name)" }
    var folder: String { "\(system.sysfs)/block/\(name)" }

    /// Every NBD device that the kernel has, by index. Those of a predecessor are told by
    /// `backendIdentifier`.
    public static func all(in system: SystemRoot = .live) -> [KernelDevice] {
        SystemFile.names(in: "\(system.sysfs)/block").compactMap { name in
            guard name.hasPrefix("nbd"), let index = UInt32(name.dropFirst(3)) else { return nil }
            return KernelDevice(index: index, in: system)
        }.sorted { $0.index < $1.index }
    }

    public var exists: Bool { SystemFile.exists(folder) }

    /// The thread that connected it, long gone when that was a helper process. Present from connect until
    /// after disconnect *and* the last close.
    public var pid: Int32? { (try? SystemFile.read("\(folder)/pid"))?.flatMap { Int32($0) } }

    /// In somebody's hands. A device that was disconnected while open looks the same: then a reconnect says
    /// EINVAL.
    public var isConfigured: Bool { pid != nil && (try? sizeBytes) ?? 0 != 0 }

    /// What was given at connect; empty when nothing was, nil when it is not connected.
    public var backendIdentifier: String? { (try? SystemFile.read("\(folder)/backend")) ?? nil }

    public var sizeBytes: UInt64 {
        get throws(NBDDeviceError) { try number("size") * 512 }
    }
    public var isReadOnly: Bool {
        get throws(NBDDeviceError) { try number("ro") as UInt64 != 0 }
    }
    public var logicalBlockSizeBytes: UInt32 {
        get throws(NBDDeviceError) { try number("queue/logical_block_size") }
    }
    /// Requests that the kernel has sent or is about to: reads, then writes.
    public var inFlight: (reads: UInt64, writes: UInt64) {
        get throws(NBDDeviceError) {
            let text = try content("inflight")
            let words = text.split(separator: " ")
            guard words.count == 2, let reads = UInt64(words[0]), let writes = UInt64(words[1]) else {
                throw .unexpected(path: "\(folder)/inflight", content: text)
            }
            return (reads, writes)
        }
    }
    public var number: DeviceNumber {
        get throws(NBDDeviceError) {
            let text = try content("dev")
            guard let number = DeviceNumber(text) else {
                throw .unexpected(path: "\(folder)/dev", content: text)
            }
            return number
        }
    }

    /// The disk and its partitions, by name and number.
    func members() -> [(name: String, number: DeviceNumber)] {
        var members: [(name: String, number: DeviceNumber)] = []
        if let number = try? number { members.append((name, number)) }
        for entry in SystemFile.names(in: folder) where entry.hasPrefix(name) {
            if let text = (try? SystemFile.read("\(folder)/\(entry)/dev")) ?? nil,
                let number = DeviceNumber(text)
            {
                members.append((entry, number))
            }
        }
        return members
    }

    /// Devices made on top of the disk or of one of its partitions, such as `dm-0`, with the name that people
    /// know where device-mapper has one.
    public func holders() -> [DeviceUser] {
        members().flatMap { member in
            let path = member.name == name ? "\(folder)/holders" : "\(folder)/\(member.name)/holders"
            return SystemFile.names(in: path).map { holder in
                let label = (try? SystemFile.read("\(system.sysfs)/block/\(holder)/dm/name")) ?? nil
                return DeviceUser.holder(holder, label: label, device: member.name)
            }
        }
    }

    // MARK: - Queue

    public func queueSettings() throws(NBDDeviceError) -> QueueSettings {
        let schedulers = try SystemFile.read("\(folder)/queue/scheduler")
        return QueueSettings(
            ioTimeoutMilliseconds: try number("queue/io_timeout"),
            maxSectorsKilobytes: try number("queue/max_sectors_kb"),
            readAheadKilobytes: try number("queue/read_ahead_kb"),
            rotational: try number("queue/rotational") as UInt32 != 0,
            scheduler: schedulers.flatMap(Self.chosen(among:)))
    }

    /// Writes what is not nil and returns what holds then. From Linux 6.11 on this waits until the requests
    /// in flight are answered: make it an `NBDCall.tune`.
    public func apply(_ settings: QueueSettings) throws(NBDDeviceError) -> QueueSettings {
        if let milliseconds = settings.ioTimeoutMilliseconds {
            try set("queue/io_timeout", String(max(1, milliseconds)))
        }
        if let wanted = settings.maxSectorsKilobytes {
            let hardwareLimit: UInt32 = try number("queue/max_hw_sectors_kb")
            let page = UInt32(clamping: sysconf(Int32(_SC_PAGESIZE)) / 1024)
            try set("queue/max_sectors_kb", String(min(max(wanted, page), hardwareLimit)))
        }
        if let kilobytes = settings.readAheadKilobytes { try set("queue/read_ahead_kb", String(kilobytes)) }
        if let rotational = settings.rotational { try set("queue/rotational", rotational ? "1" : "0") }
        if let scheduler = settings.scheduler { try set("queue/scheduler", scheduler) }
        return try queueSettings()
    }

    /// The bracketed word of "mq-deadline [none]"; the only word where there is no choice.
    static func chosen(among text: String) -> String? {
        let words = text.split(separator: " ")
        let chosen = words.first { $0.hasPrefix("[") && $0.hasSuffix("]") }
        return (chosen?.dropFirst().dropLast() ?? (words.count == 1 ? words[0] : nil)).map(String.init)
    }

    // MARK: - Node and udev

    /// Asks the kernel to tell udev once more: the event that it sends at connect may come before `backend`
    /// exists, and a rule that looks at it would miss it.
    /// Its partitions, which have names of their own, come after it.
    public func announceChange() throws(NBDDeviceError) {
        try set("uevent", "change")
        for member in members() where member.name != name {
            try SystemFile.write("change", to: "\(folder)/\(member.name)/uevent")
        }
    }

    /// Waits until `/dev/nbdX` stands for this device; false when it does not in time.
    public func waitForNode(timeLimitMilliseconds: Int) -> Bool {
        let deadline = monotonicMilliseconds() + timeLimitMilliseconds
        while true {
            if let number = try? number, DeviceNumber(nodeAt: node) == number { return true }
            if monotonicMilliseconds() >= deadline { return false }
            sleepMilliseconds(10)
        }
    }

    /// Waits until the kernel has taken the device away (`destroyOnDisconnect`, after the last close).
    public func waitUntilGone(timeLimitMilliseconds: Int) -> Bool {
        let deadline = monotonicMilliseconds() + timeLimitMilliseconds
        while exists {
            if monotonicMilliseconds() >= deadline { return false }
            sleepMilliseconds(10)
        }
        return true
    }

    // MARK: - Files

    private func content(_ file: String) throws(NBDDeviceError) -> String {
        guard let text = try SystemFile.read("\(folder)/\(file)") else { throw .noDevice(index: index) }
        return text
    }

    private func number<T: FixedWidthInteger>(_ file: String) throws(NBDDeviceError) -> T {
        let text = try content(file)
        guard let value = T(text) else { throw .unexpected(path: "\(folder)/\(file)", content: text) }
        return value
    }

    private func set(_ file: String, _ value: String) throws(NBDDeviceError) {
        guard exists else { throw .noDevice(index: index) }
        try SystemFile.write(value, to: "\(folder)/\(file)")
    }
}
