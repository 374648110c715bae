/// All that is configured on a machine.
public struct Configuration: Sendable {
    public var adapter = AdapterConfiguration()
    public var disks: [DiskConfiguration] = []
    /// The text of `causeway.toml`; empty where there is none.
    public var adapterText = ""

    public init() {}

    /// What is in force for a disk.
    public func settings(of disk: DiskConfiguration) -> InheritedSettings {
        adapter.settings(
            target: disk.target, portals: disk.portals, discovery: disk.discovery, disk: disk.layer)
    }

    /// What only shows when the files are seen together.
    func check(files: ConfigurationFiles) -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        for disk in disks {
            let file = files.path(of: disk.name)
            if let address = disk.discovery, !adapter.hasDiscovery(address) {
                problems.append(
                    ConfigurationProblem(
                        file: file, line: disk.discoveryLine,
                        reason: "there is no [discovery.\"\(address)\"] in \(files.adapter)"))
            }
            if let lanes = adapter.lanes, disk.queues > lanes {
                problems.append(
                    ConfigurationProblem(
                        file: file, line: disk.queuesLine,
                        reason: "\(disk.queues) queues need as many lanes, and lanes is \(lanes) in "
                            + files.adapter))
            }
            // What the disk says itself is told where it is read.
            if disk.queues > 1 {
                problems += QueueRules.endless(settings(of: disk).diskSettings).map {
                    ConfigurationProblem(file: file, line: disk.queuesLine, reason: $0.reason)
                }
            }
            // What the adapter's own sections have wrong is told there.
            let misfit = settings(of: disk).chap.misfit
            let outer = adapter.settings(
                target: disk.target, portals: disk.portals, discovery: disk.discovery)
            if let (problem, keys) = misfit, outer.chap.problem != problem {
                problems.append(
                    ConfigurationProblem(file: file, line: disk.layer.line(ofCHAP: keys), reason: problem))
            }
        }
        return problems
    }
}
