import CausewayControl
import CausewayCore
import LinuxSystem
import Synchronization

/// What the discovery addresses listed when they answered last (SendTargets, RFC 7143 Appendix C).
///
/// Kept over boots, so that a disk finds the portals of its target while the address that it was found at is
/// down.
struct KnownTargets: Codable, Equatable, Sendable {
    struct Address: Codable, Equatable, Sendable {
        /// As the configuration has it.
        var address: String
        var targets: [TargetReport]
        /// Microseconds since 1970-01-01 00:00 UTC.
        var answeredMicroseconds: UInt64
    }
    private(set) var addresses: [Address] = []

    /// Takes a list in the place of the one before. What was learned through an interface that was asked and
    /// gave no answer stays. Returns whether a target or a portal is another than before.
    ///
    /// - Parameter interfaces: those that were asked through; empty: as the routing table says.
    mutating func learn(
        _ targets: [TargetReport], at address: CausewayControl.PortalAddress, through interfaces: [String],
        timeMicroseconds: UInt64
    ) -> Bool {
        let old = addresses.first { $0.address == address.description }
        let answered = Set(targets.flatMap { $0.portals.map(\.interface) })
        let silent = Set(interfaces.map(Optional.some)).subtracting(answered)
        var merged = targets.map { TargetReport(name: $0.name, portals: $0.portals) }
        for target in old?.targets ?? [] {
            let kept = target.portals.filter { silent.contains($0.interface) }
            guard !kept.isEmpty else { continue }
            if let place = merged.firstIndex(where: { $0.name == target.name }) {
                merged[place].portals += kept
            } else {
                merged.append(TargetReport(name: target.name, portals: kept))
            }
        }
        let fresh = Address(
            address: address.description, targets: merged, answeredMicroseconds: timeMicroseconds)
        addresses.removeAll { $0.address == fresh.address }
        addresses.append(fresh)
        return old?.targets != merged
    }

    /// Leaves out what was found at addresses that are not configured any more. Returns whether any was.
    mutating func forgetOthers(than configured: [CausewayControl.PortalAddress]) -> Bool {
        let names = Set(configured.map(\.description))
        let count = addresses.count
        addresses.removeAll { !names.contains($0.address) }
        return addresses.count != count
    }

    /// Where a target was, and when that was known; nil if it was not there.
    func portals(
        of target: ISCSIName, at address: CausewayControl.PortalAddress
    ) -> (portals: [CausewayControl.PortalAddress], timeMicroseconds: UInt64)? {
        guard let known = addresses.first(where: { $0.address == address.description }),
            let portals = known.targets.first(where: { $0.name == target.text })?.addresses, !portals.isEmpty
        else { return nil }
        return (portals, known.answeredMicroseconds)
    }
}

extension TargetReport {
    /// Each portal once. Names are left out where there are addresses: they are the target's network's.
    var addresses: [CausewayControl.PortalAddress] {
        let numbers = portals.filter { IPAddress(parsing: $0.address) != nil }
        var found: [CausewayControl.PortalAddress] = []
        for portal in numbers.isEmpty ? portals : numbers {
            let address = CausewayControl.PortalAddress(host: portal.address, port: portal.port)
            if !found.contains(address) { found.append(address) }
        }
        return Array(found.prefix(RequestLimits.countMax))
    }
}

/// The known targets, in a file that outlives the boot.
final class KnownTargetsFile: Sendable {
    let path: String
    private let folder: String
    private let known: Mutex<KnownTargets>

    init(dataDirectory: String) {
        folder = dataDirectory
        path = dataDirectory + "/targets.json"
        var found = KnownTargets()
        // One that cannot be read is written anew once an address has answered.
        if let text = try? SmallFile.read(path),
            let read = try? MessageCodec.decode(KnownTargets.self, from: Array(text.utf8))
        {
            found = read
        }
        known = Mutex(found)
    }

    var targets: KnownTargets { known.withLock { $0 } }

    /// - Parameter change: returns whether it changed anything that is worth the file.
    func change(_ change: (inout KnownTargets) -> Bool) throws(SystemError) {
        try known.withLock { known throws(SystemError) in
            guard change(&known) else { return }
            guard let text = try? MessageCodec.encodeText(known, pretty: true) else {
                throw SystemError(call: "write", errno: .invalidArgument, subject: path)
            }
            try StateFile.makeFolder(folder)
            try StateFile.replace(path, with: text + [0x0a])
        }
    }
}
