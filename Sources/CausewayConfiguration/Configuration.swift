/// All that is configured on a machine.
public struct Configuration: Sendable {
    public var adapter = AdapterConfiguration()
    public var disks: [DiskConfiguration] = []

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
                        file: file, reason: "there is no [discovery.\"\(address)\"] in \(files.adapter)"))
            }
            // What the adapter's own sections have wrong is told there.
            let problem = settings(of: disk).chap.problem
            let outer = adapter.settings(
                target: disk.target, portals: disk.portals, discovery: disk.discovery)
            if let problem, outer.chap.problem != problem {
                problems.append(ConfigurationProblem(file: file, reason: problem))
            }
        }
        return problems
    }
}
