public import CausewayControl
public import CausewayCore

/// `disks/NAME.toml`: a disk that is attached whenever the daemon runs.
public struct DiskConfiguration: Sendable {
    public static let defaultDirectory = "/etc/causeway/disks"
    public static let fileSuffix = ".toml"

    public let name: DiskName
    public var target: ISCSIName
    /// Of a disk that names none: empty until they are found.
    public var portals: [CausewayControl.PortalAddress]
    /// It names none: its portals are those that its discovery address lists for the target.
    public private(set) var findsPortals = false
    /// Bound interfaces; empty: as the routing table says.
    public var interfaces: [String]
    public var lun: UInt64
    /// The export socket; nil: a kernel device.
    public var socket: String?
    public var isReadOnly: Bool
    /// Of the kernel's device, and sessions a path.
    public var queues: UInt32
    /// Where its file says so.
    private(set) var queuesLine: Int?
    /// The discovery address that the target was found at, if the disk names it.
    public var discovery: CausewayControl.PortalAddress?
    /// Where its file says so.
    private(set) var discoveryLine: Int?
    /// What the disk does not inherit.
    public var layer: SettingLayer

    /// The disk that a request asks for.
    public init(_ request: AttachRequest, target: ISCSIName) {
        name = request.name
        self.target = target
        portals = request.portals
        findsPortals = request.portals.isEmpty
        discovery = request.discovery
        interfaces = request.interfaces
        lun = request.lun
        socket = request.socket
        isReadOnly = request.readOnly
        queues = request.queues ?? 1
        layer = SettingLayer(request)
    }

    /// Reads a file's text; nil when an error was found, which is added to `problems`.
    public init?(_ text: String, name: DiskName, file: String, problems: inout [ConfigurationProblem]) {
        var reading = FileReading(file: file)
        defer { problems += reading.problems }
        guard let root = reading.parse(text) else { return nil }
        var fields = Fields()
        for entry in root.entries { fields.read(entry, &reading) }
        if fields.target == nil, root["target"] == nil { reading.complain(nil, "\"target\" is missing") }
        if fields.lun == nil, root["lun"] == nil { reading.complain(nil, "\"lun\" is missing") }
        if root["portals"] == nil, root["discovery"] == nil {
            reading.complain(
                nil, "\"portals\" is missing, or \"discovery\": the address that lists the target's portals")
        }
        guard reading.problems.isEmpty, let target = fields.target, let lun = fields.lun else { return nil }
        self.name = name
        self.target = target
        self.lun = lun
        portals = fields.portals
        findsPortals = root["portals"] == nil
        interfaces = fields.interfaces
        socket = fields.socket
        isReadOnly = fields.isReadOnly
        queues = fields.queues
        queuesLine = root["queues"]?.line
        discovery = fields.discovery
        discoveryLine = root["discovery"]?.line
        layer = fields.layer
        check(root, &reading)
        guard reading.problems.isEmpty else { return nil }
    }

    /// What a request may not say either: each key by itself, so that a mistake is found where it stands.
    private func check(_ root: TOMLTable, _ reading: inout FileReading) {
        let plain = AttachRequest(
            name: name, target: target.text, portals: [PortalAddress(host: "portal")], lun: lun)
        let fields: [(String, (inout AttachRequest) -> Void)] = [
            ("portals", { if !findsPortals { $0.portals = portals } }),
            ("bind", { $0.interfaces = interfaces }),
            ("socket", { $0.socket = socket }),
        ]
        for (key, fill) in fields {
            var request = plain
            fill(&request)
            do throws(ControlError) {
                try request.validate()
            } catch {
                reading.complain(root[key]?.line, error.message)
            }
        }
        for (line, reason) in queueProblems(layer.lines(of: QueueRules.keys)) {
            reading.complain(line, reason)
        }
    }

    /// Settings with which it cannot have several queues.
    /// - Parameter lines: of those that the disk says itself.
    private func queueProblems(_ lines: [String: Int]) -> [(line: Int?, reason: String)] {
        guard queues > 1 else { return [] }
        var settings = InheritedSettings()
        layer.apply(to: &settings)
        return QueueRules.endless(settings.diskSettings).map { (lines[$0.key] ?? queuesLine, $0.reason) }
    }

    /// What attaches it.
    public func request(_ settings: InheritedSettings) -> AttachRequest {
        AttachRequest(
            name: name, target: target.text, portals: portals, discovery: discovery, interfaces: interfaces,
            lun: lun, socket: socket, readOnly: isReadOnly, settings: settings.disk,
            queueDepth: settings.queueDepth, queues: queues > 1 ? queues : nil)
    }

    /// The text of its file.
    public var text: String {
        var lines = [
            "# The disk \(name): written by causeway attach --persist, removed by causeway detach --forget.",
            "# It may be edited; causeway.toml(5) tells how, causeway config check whether it is right.",
            "target = \(Self.quoted(target.text))",
        ]
        if !findsPortals { lines.append("portals = \(Self.quoted(portals.map(\.description)))") }
        if !interfaces.isEmpty { lines.append("bind = \(Self.quoted(interfaces))") }
        lines.append("lun = \(lun)")
        if let socket { lines.append("socket = \(Self.quoted(socket))") }
        if isReadOnly { lines.append("read-only = true") }
        if queues > 1 { lines.append("queues = \(queues)") }
        if let discovery { lines.append("discovery = \(Self.quoted(discovery.description))") }
        return (lines + layer.lines).joined(separator: "\n") + "\n"
    }

    static func quoted(_ texts: [String]) -> String { "[\(texts.map(quoted).joined(separator: ", "))]" }

    /// A basic string.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    private struct Fields {
        var target: ISCSIName?
        var portals: [CausewayControl.PortalAddress] = []
        var interfaces: [String] = []
        var lun: UInt64?
        var socket: String?
        var isReadOnly = false
        var queues: UInt32 = 1
        var discovery: CausewayControl.PortalAddress?
        var layer = SettingLayer()

        static let keys = ["target", "portals", "bind", "lun", "socket", "read-only", "queues", "discovery"]

        mutating func read(_ entry: TOMLTable.Entry, _ reading: inout FileReading) {
            if let section = Setting.Section(rawValue: entry.key) {
                return layer.read(section, entry.value, line: entry.line, &reading)
            }
            switch entry.key {
            case "target":
                if let text = reading.string(entry) { target = reading.name(text, entry.line) }
            case "portals":
                guard let texts = reading.strings(entry) else { return }
                portals = texts.compactMap { reading.portal($0, entry.line) }
            case "bind": interfaces = reading.strings(entry) ?? []
            case "lun":
                guard case .integer(let number) = entry.value, let found = LogicalUnitNumber(Int(number))
                else {
                    return reading.complain(entry.line, "\"lun\" is a number from 0 to 16383")
                }
                lun = UInt64(found.number ?? 0)
            case "socket": socket = reading.string(entry)
            case "read-only": isReadOnly = reading.boolean(entry) ?? false
            case "queues":
                let range = RequestLimits.queues
                guard case .integer(let number) = entry.value, let count = UInt32(exactly: number),
                    range.contains(count)
                else {
                    return reading.complain(
                        entry.line,
                        "\"queues\" is a number from \(range.lowerBound) to \(range.upperBound)")
                }
                queues = count
            case "discovery":
                if let text = reading.string(entry) { discovery = reading.portal(text, entry.line) }
            default:
                reading.unknown(
                    entry.key, line: entry.line, known: Self.keys + SettingLayer.sectionNames, of: "this file"
                )
            }
        }
    }
}

extension SettingLayer {
    /// What a request says for its disk alone.
    public init(_ request: AttachRequest) {
        self.init(request.chap)
        for (key, text) in request.allSettings.sorted(by: { $0.key < $1.key }) {
            add(.disk, key, .text(text))
        }
        if let depth = request.queueDepth { add(.disk, "queue-depth", .number(Int64(depth))) }
    }

    /// CHAP for one request goes before all that is configured, and is required then.
    public init(_ request: CHAPRequest?) {
        self.init()
        guard let request else { return }
        add(.chap, "level", .text(AuthenticationLevel.required.rawValue))
        add(.chap, "user", .text(request.user))
        add(.chap, "secret-file", .text(request.secretFile))
        guard let mutual = request.mutualSecretFile else { return }
        add(.chap, "mutual-level", .text(AuthenticationLevel.required.rawValue))
        if let user = request.mutualUser { add(.chap, "mutual-user", .text(user)) }
        add(.chap, "mutual-secret-file", .text(mutual))
    }

    /// In the order of the sections, as a file has them.
    fileprivate var lines: [String] {
        var lines: [String] = []
        for section in Setting.Section.allCases {
            let own = entries.filter { $0.setting.section == section }
            guard !own.isEmpty else { continue }
            lines += ["", "[\(section.rawValue)]"]
            lines += own.map { "\($0.setting.key) = \($0.value.written)" }
        }
        return lines
    }
}

extension SettingValue {
    /// As a file has it.
    var written: String {
        switch self {
        case .text(let text): DiskConfiguration.quoted(text)
        case .list(let texts): DiskConfiguration.quoted(texts)
        case .number, .flag: shown
        }
    }
}
