import CausewayControl
import CausewayCore
import LinuxSystem
public struct InitiatorNameError: Error, Equatable, Sendable, CustomStringConvertible { public var description = "" }
enum InitiatorName { static func load(override: String?) throws(InitiatorNameError) -> ISCSIName {
    guard let n = try? ISCSIName(override ?? "iqn.2026-01.io.causeway:tmp") else { throw InitiatorNameError() }; return n } }
struct TargetDiscovery { var initiatorName: ISCSIName; func discover(_ r: DiscoverRequest) throws(ControlError) -> Discovery { throw .internalFailure("no") } }
struct PlannedPath { var interface: String?; var source: IPAddress?; var portal: SocketAddress; var isid: InitiatorSessionID }
enum PathPlan { static func make(interfaces: [String], portals: [SocketAddress], lane: Int) throws(ControlError) -> [PlannedPath] {
    var r: [PlannedPath] = []
    let all = (try? NetworkInterfaces.list()) ?? []
    for p in portals {
        if interfaces.isEmpty { r.append(PlannedPath(interface: nil, source: nil, portal: p, isid: InitiatorSessionID(hash: UInt64(bitPattern: Int64("\(p)".hashValue))))) }
        for i in interfaces { guard let f = all.first(where: { $0.link.name == i }) else { throw .noSuchInterface(i) }
            guard let s = f.sourceAddress(toward: p.address) else { continue }
            if s.address.hasSamePrefix(as: p.address, length: s.prefixLength) { r.append(PlannedPath(interface: i, source: s.address, portal: p, isid: InitiatorSessionID(hash: UInt64(bitPattern: Int64("\(i)\(p)".hashValue))))) } }
    }
    return r } }
