import CausewayControl
import CausewayCore
import LinuxSystem
import Synchronization

/// What `params` shows.
extension Supervisor {
    func parameters(_ name: DiskName) throws(ControlError) -> ParametersReport {
        let disk = try find(name)
        let rows = SessionParameter.all
        let keys = rows.map { row in
            ParametersReport.Key(
                key: row.key.name, allowed: row.allowed, standard: row.key.definition.defaultValue,
                rule: row.rule)
        }
        guard disk.isInLanes else { throw .busy("\(name) is being attached or detached") }
        guard let answers = disk.ask({ $0.lane.parameters(of: $1) }) else {
            throw .internalFailure("the lane did not answer")
        }
        func byKey(_ texts: [String]) -> [String: String] {
            Dictionary(zip(rows.map(\.key.name), texts)) { first, _ in first }
        }
        var paths: [ParametersReport.Path] = []
        for (queue, answer) in answers.enumerated() {
            paths += (answer ?? []).map { path in
                ParametersReport.Path(
                    queue: answers.count > 1 ? UInt32(queue) : nil,
                    interface: path.interface.isEmpty ? nil : path.interface,
                    portal: (try? PortalAddress(parsing: path.portal)) ?? PortalAddress(host: path.portal),
                    wanted: byKey(path.wanted), negotiated: path.negotiated.map(byKey),
                    authentication: path.authentication)
            }
        }
        return ParametersReport(keys: keys, paths: paths)
    }
}
