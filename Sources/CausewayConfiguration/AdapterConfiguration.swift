public import CausewayControl
public import CausewayCore

/// `causeway.toml`: this machine's side, and what holds for discovery addresses and targets.
public struct AdapterConfiguration: Sendable {
    public static let defaultPath = "/etc/causeway/causeway.toml"

    /// nil: as `/etc/iscsi/initiatorname.iscsi` says.
    public private(set) var initiatorName: ISCSIName?
    /// nil: as that file says.
    public private(set) var initiatorAlias: String?
    /// Threads of the data path at most; nil: as many as the machine has processors, up to four.
    public private(set) var lanes: Int?
    private var adapter = SettingLayer()
    private var discovery: [DiscoveryScope] = []
    private var targets: [TargetScope] = []

    private struct DiscoveryScope {
        var address: CausewayControl.PortalAddress
        var layer: SettingLayer
    }

    private struct TargetScope {
        var name: ISCSIName
        var discovery: CausewayControl.PortalAddress?
        var discoveryLine: Int?
        var layer: SettingLayer
    }

    /// Nothing is configured.
    public init() {}

    /// Reads a file's text. What is wrong is added to `problems`; the rest is read all the same, so that all
    /// mistakes are found at once.
    public init(_ text: String, file: String, problems: inout [ConfigurationProblem]) {
        var reading = FileReading(file: file)
        if let root = reading.parse(text) { read(root, &reading) }
        problems += reading.problems
    }

    private static let keys = ["initiator-name", "initiator-alias", "lanes", "discovery", "target"]

    private static let lanesRange: ClosedRange<Int64> = 1...64

    private mutating func read(_ root: TOMLTable, _ reading: inout FileReading) {
        for entry in root.entries {
            if let section = Setting.Section(rawValue: entry.key) {
                adapter.read(section, entry.value, line: entry.line, &reading)
                continue
            }
            switch entry.key {
            case "initiator-name":
                if let text = reading.string(entry) {
                    initiatorName = reading.name(text, entry.line)
                }
            case "initiator-alias":
                guard let text = reading.string(entry) else { continue }
                if LoginOptions.isAlias(text) {
                    initiatorAlias = text
                } else {
                    reading.complain(entry.line, "initiator-alias is a text of 1 to 255 bytes")
                }
            case "lanes":
                if case .integer(let number) = entry.value, Self.lanesRange.contains(number) {
                    lanes = Int(number)
                } else {
                    reading.complain(entry.line, "lanes is a number from 1 to 64")
                }
            case "discovery":
                for (address, scope) in reading.scopes(entry) { readDiscovery(address, scope, &reading) }
            case "target":
                for (name, scope) in reading.scopes(entry) { readTarget(name, scope, &reading) }
            default:
                reading.unknown(
                    entry.key, line: entry.line, known: Self.keys + SettingLayer.sectionNames, of: "this file"
                )
            }
        }
        for target in targets {
            guard let address = target.discovery, !discovery.contains(where: { $0.address == address }) else {
                continue
            }
            reading.complain(
                target.discoveryLine,
                "[target.\"\(target.name)\"]: there is no [discovery.\"\(address)\"]")
        }
        if reading.problems.isEmpty { reading.problems += check(file: reading.file) }
    }

    private mutating func readDiscovery(
        _ address: TOMLTable.Entry, _ scope: TOMLTable, _ reading: inout FileReading
    ) {
        guard let portal = reading.portal(address.key, address.line) else { return }
        guard !discovery.contains(where: { $0.address == portal }) else {
            return reading.complain(address.line, "[discovery.\"\(address.key)\"] is in the file already")
        }
        var layer = SettingLayer()
        for entry in scope.entries {
            guard let section = Setting.Section(rawValue: entry.key) else {
                reading.unknown(
                    entry.key, line: entry.line, known: SettingLayer.sectionNames, of: "[discovery.\"…\"]")
                continue
            }
            layer.read(section, entry.value, line: entry.line, &reading)
        }
        discovery.append(DiscoveryScope(address: portal, layer: layer))
    }

    private mutating func readTarget(
        _ name: TOMLTable.Entry, _ scope: TOMLTable, _ reading: inout FileReading
    ) {
        guard let target = reading.name(name.key, name.line) else { return }
        guard !targets.contains(where: { $0.name == target }) else {
            return reading.complain(name.line, "[target.\"\(name.key)\"] is in the file already")
        }
        var made = TargetScope(name: target, layer: SettingLayer())
        for entry in scope.entries {
            if let section = Setting.Section(rawValue: entry.key) {
                made.layer.read(section, entry.value, line: entry.line, &reading)
            } else if entry.key == "discovery" {
                if let text = reading.string(entry) { made.discovery = reading.portal(text, entry.line) }
                made.discoveryLine = entry.line
            } else {
                reading.unknown(
                    entry.key, line: entry.line, known: ["discovery"] + SettingLayer.sectionNames,
                    of: "[target.\"…\"]")
            }
        }
        targets.append(made)
    }

    /// What is in force for a disk of `target`: the adapter's settings, those of the discovery address that
    /// the target was found at, the target's, then the disk's.
    ///
    /// - Parameters:
    ///   - portals: the disk's; one that is a discovery address says where the target was found, unless
    ///     `discovery` or the target's own section does.
    public func settings(
        target: ISCSIName?, portals: [CausewayControl.PortalAddress] = [],
        discovery named: CausewayControl.PortalAddress? = nil, disk: SettingLayer = SettingLayer()
    ) -> InheritedSettings {
        var settings = InheritedSettings()
        adapter.apply(to: &settings)
        let scope = target.flatMap { target in targets.first { $0.name == target } }
        let address = target.map { discoveryAddress(of: $0, portals: portals, named: named) } ?? named
        discovery.first { $0.address == address }?.layer.apply(to: &settings)
        scope?.layer.apply(to: &settings)
        disk.apply(to: &settings)
        return settings
    }

    /// The discovery address, one that has a section, that a target was found at: as the disk says, or the
    /// target's section, or by one of the disk's portals.
    public func discoveryAddress(
        of target: ISCSIName, portals: [CausewayControl.PortalAddress],
        named: CausewayControl.PortalAddress?
    ) -> CausewayControl.PortalAddress? {
        let scope = targets.first { $0.name == target }
        let addresses = [named ?? scope?.discovery].compactMap { $0 }
        return (addresses.isEmpty ? portals : addresses).first(where: hasDiscovery)
    }

    /// Those that have a section.
    public var discoveryAddresses: [CausewayControl.PortalAddress] { discovery.map(\.address) }

    /// What is in force for a discovery at an address.
    public func settings(
        discoveryAt address: CausewayControl.PortalAddress, request: SettingLayer = SettingLayer()
    ) -> InheritedSettings {
        var settings = InheritedSettings()
        adapter.apply(to: &settings)
        discovery.first { $0.address == address }?.layer.apply(to: &settings)
        request.apply(to: &settings)
        return settings
    }

    /// What does not fit together, section by section.
    func check(file: String) -> [ConfigurationProblem] {
        var places: [(String, InheritedSettings, SettingLayer)] = [("", settings(target: nil), adapter)]
        places += discovery.map {
            ("[discovery.\"\($0.address)\"] ", settings(discoveryAt: $0.address), $0.layer)
        }
        places += targets.map { ("[target.\"\($0.name)\"] ", settings(target: $0.name), $0.layer) }
        var problems: [ConfigurationProblem] = []
        for (place, settings, layer) in places {
            guard let (problem, keys) = settings.chap.misfit,
                !problems.contains(where: { $0.reason.hasSuffix(problem) })
            else { continue }
            let line = layer.line(ofCHAP: keys) ?? adapter.line(ofCHAP: keys)
            problems.append(ConfigurationProblem(file: file, line: line, reason: place + problem))
        }
        return problems
    }

    /// Secrets' files, and the lines that name them.
    var secretFiles: [(path: String, line: Int)] {
        ([adapter] + discovery.map(\.layer) + targets.map(\.layer)).flatMap(\.secretFiles)
    }

    /// Whether there is a section for a discovery address.
    func hasDiscovery(_ address: CausewayControl.PortalAddress) -> Bool {
        discovery.contains { $0.address == address }
    }
}

extension FileReading {
    /// The tables in a table, by name.
    fileprivate mutating func scopes(_ entry: TOMLTable.Entry) -> [(TOMLTable.Entry, TOMLTable)] {
        guard case .table(let table) = entry.value else {
            complain(entry.line, "\"\(entry.key)\" is a table: write [\(entry.key).\"…\"]")
            return []
        }
        var scopes: [(TOMLTable.Entry, TOMLTable)] = []
        for inner in table.entries {
            guard case .table(let scope) = inner.value else {
                complain(
                    inner.line,
                    "\"\(inner.key)\" is no table; a name with dots stands between quotes: "
                        + "[\(entry.key).\"…\"]"
                )
                continue
            }
            scopes.append((inner, scope))
        }
        return scopes
    }

    mutating func name(_ text: String, _ line: Int) -> ISCSIName? {
        do throws(ISCSINameError) {
            return try ISCSIName(text)
        } catch {
            complain(line, "\(error)")
            return nil
        }
    }

    mutating func portal(_ text: String, _ line: Int) -> CausewayControl.PortalAddress? {
        do throws(ControlError) {
            return try CausewayControl.PortalAddress(parsing: text)
        } catch {
            complain(line, error.message)
            return nil
        }
    }
}
