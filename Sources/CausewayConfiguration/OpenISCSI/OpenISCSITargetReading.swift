import CausewayControl
import CausewayCore

/// The records of one target being read: one for each portal and interface, which should agree.
struct OpenISCSITargetReading {
    private let nodes: [OpenISCSINode]
    private let secrets: String
    private(set) var target: OpenISCSIImport.Target
    private(set) var problems: [ConfigurationProblem] = []

    init(name: ISCSIName, nodes: [OpenISCSINode], secrets: String) {
        self.nodes = nodes
        self.secrets = secrets
        target = OpenISCSIImport.Target(name: name, disk: "")
    }

    mutating func read(disk: String) {
        target.disk = disk
        for node in nodes {
            if !target.portals.contains(node.portal) { target.portals.append(node.portal) }
            if let interface = node.interface, !target.interfaces.contains(interface) {
                target.interfaces.append(interface)
            }
        }
        if !target.interfaces.isEmpty {
            for node in nodes where node.interface == nil {
                warn(
                    node.record, "iface.iscsi_ifacename",
                    "it is bound to no interface, others are: its portal is reached through those")
            }
        }
        target.isManual = nodes.allSatisfy { $0.record["node.startup"]?.text == "manual" }
        readAuthentication()
        for setting in OpenISCSISetting.all { read(setting) }
        readReplacement()
        if let (record, depth) = agreed("node.session.queue_depth"), depth.text != "32" {
            warn(record, "node.session.queue_depth", "a LUN has no queue depth of its own here: not taken")
        }
        if let (record, name) = agreed("iface.initiatorname") {
            warn(
                record, "iface.initiatorname",
                "there is one initiator name for all interfaces, and \(name.text) is not taken")
        }
    }

    private mutating func warn(_ record: OpenISCSIRecord, _ key: String, _ reason: String) {
        problems.append(
            ConfigurationProblem(
                file: record.file, line: record[key]?.line, reason: "\(key): \(reason)", severity: .warning))
    }

    /// The first record's value; that others have another one is said, without the values, which may be
    /// secrets.
    private mutating func agreed(_ key: String) -> (OpenISCSIRecord, OpenISCSIRecord.Value)? {
        var first: (OpenISCSIRecord, OpenISCSIRecord.Value)?
        for node in nodes {
            guard let value = node.record[key] else { continue }
            guard let known = first else {
                first = (node.record, value)
                continue
            }
            if known.1.text != value.text {
                warn(node.record, key, "it is another one in \(known.0.file), which is taken")
            }
        }
        return first
    }

    // MARK: Settings

    private mutating func read(_ setting: OpenISCSISetting) {
        guard let (record, found) = agreed(setting.key), !setting.usual.contains(found.text) else { return }
        guard let value = setting.value(found.text),
            let row = Setting.find(setting.section, setting.name)
        else {
            return warn(record, setting.key, "\"\(found.text)\" is not understood: not taken")
        }
        var scratch = InheritedSettings()
        do throws(SettingError) {
            try row.set(&scratch, value)
        } catch {
            return warn(
                record, setting.key,
                "\(found.text) is not possible here (\(setting.name) may be \(row.allowed)): not taken")
        }
        guard !isUsual(scratch) else { return }
        target.lines.append("\(setting.section.rawValue).\(setting.name) = \(value.written)")
    }

    /// Whether it is what would be in force anyway.
    private func isUsual(_ settings: InheritedSettings) -> Bool {
        var disk = DiskSettings()
        for (key, text) in settings.disk where (try? disk.set(key, to: text)) == nil { return false }
        return disk == DiskSettings() && settings.queueDepth == nil
            && settings.parameters == InheritedSettings().parameters
    }

    private mutating func readReplacement() {
        let setting = OpenISCSISetting.replacement
        guard nodes.count > 1 else { return read(setting) }
        guard let (record, found) = agreed(setting.key), !setting.usual.contains(found.text) else { return }
        warn(
            record, setting.key,
            "\(found.text) s until dm-multipath has the I/O back: not taken, as paths are changed at once "
                + "here; how long it waits without any path is \(setting.name)")
    }

    // MARK: CHAP

    private mutating func readAuthentication() {
        let method = agreed("node.session.auth.authmethod")
        guard let user = agreed("node.session.auth.username") else { return }
        guard method?.1.text.contains("CHAP") ?? false else { return }
        guard let own = readSecret("node.session.auth.password", suffix: "") else { return }
        var lines = ["chap.user = \(DiskConfiguration.quoted(user.1.text))", secretLine("secret-file", own)]
        target.secrets.append(own)
        if let mutual = readSecret("node.session.auth.password_in", suffix: ".mutual", isNeeded: false) {
            if mutual.text == own.text {
                warn(
                    nodes[0].record, "node.session.auth.password_in",
                    "it is the same secret as node.session.auth.password, and each direction needs its own: "
                        + "not taken")
            } else {
                if let name = agreed("node.session.auth.username_in") {
                    lines.append("chap.mutual-user = \(DiskConfiguration.quoted(name.1.text))")
                }
                lines.append(secretLine("mutual-secret-file", mutual))
                target.secrets.append(mutual)
            }
        }
        target.lines = lines + algorithms() + target.lines
    }

    private func secretLine(_ key: String, _ secret: OpenISCSIImport.Secret) -> String {
        "chap.\(key) = \(DiskConfiguration.quoted(secret.path))"
    }

    private mutating func readSecret(
        _ key: String, suffix: String, isNeeded: Bool = true
    ) -> OpenISCSIImport.Secret? {
        guard let (record, value) = agreed(key) else {
            if isNeeded, let record = nodes.first?.record {
                complain(record, nil, "node.session.auth.username is set and \(key) is not: CHAP is left out")
            }
            return nil
        }
        let count = value.text.utf8.count
        guard CHAPSecret.byteCounts.contains(count), !value.text.contains("\u{fffd}") else {
            complain(
                record, value.line,
                "\(key) has \(count) bytes, or bytes that are no text; it must be text of "
                    + "\(CHAPSecret.byteCounts.lowerBound) to \(CHAPSecret.byteCounts.upperBound): left out, "
                    + "so set another one here and on the target")
            return nil
        }
        // What a file name cannot hold is in no name that is in use.
        let name = target.name.text.map { $0 == "/" ? "_" : $0 }
        return OpenISCSIImport.Secret(
            path: "\(secrets)/\(String(name))\(suffix).secret", text: value.text,
            source: "\(record.file):\(value.line)")
    }

    private mutating func complain(_ record: OpenISCSIRecord, _ line: Int?, _ reason: String) {
        problems.append(ConfigurationProblem(file: record.file, line: line, reason: reason))
    }

    private mutating func algorithms() -> [String] {
        let key = "node.session.auth.chap_algs"
        guard let (record, found) = agreed(key), found.text != "MD5" else { return [] }
        let known = ["SHA3-256": "SHA3-256", "SHA256": "SHA-256", "SHA1": "SHA-1", "MD5": "MD5"]
        let texts = found.text.split(separator: ",").map { String($0).filter { $0 != " " } }
        let names = texts.compactMap { known[$0] }
        guard names.count == texts.count, Set(names).count == names.count, !names.isEmpty else {
            warn(record, key, "\"\(found.text)\" is not understood: not taken")
            return []
        }
        guard names != CHAPAlgorithm.strongestFirst.map(\.description) else { return [] }
        return ["chap.algorithms = \(DiskConfiguration.quoted(names))"]
    }
}
