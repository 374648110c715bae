import CausewayControl
import CausewayCore
public import LinuxSystem

/// What open-iscsi's node records come to as a configuration of Causeway. They know no LUNs, so what they say
/// becomes a section for each target, and the disks come by attaching all LUNs.
public struct OpenISCSIImport: Sendable {
    public static let defaultNodes = "/etc/iscsi/nodes"

    /// A CHAP secret on its way from one file into another. It has no description.
    struct Secret: Sendable {
        var path: String
        var text: String
        var source: String
    }

    struct Target: Sendable {
        var name: ISCSIName
        var disk: String
        var portals: [CausewayControl.PortalAddress] = []
        var interfaces: [String] = []
        /// `key = value`, as they stand in the target's section.
        var lines: [String] = []
        var secrets: [Secret] = []
        /// open-iscsi logs in to it only when somebody says so.
        var isManual = false
    }

    public let nodes: String
    public private(set) var problems: [ConfigurationProblem] = []
    private(set) var targets: [Target] = []
    /// nil where the daemon finds the same name by itself.
    private var initiatorName: ISCSIName?

    /// - Parameter secrets: the folder that secrets are to be written to.
    public init(nodes: String = defaultNodes, secrets: String) {
        self.init(OpenISCSIFiles(nodes: nodes), secrets: secrets)
    }

    init(_ files: OpenISCSIFiles, secrets: String) {
        nodes = files.nodes
        let found = files.load(&problems)
        var names: Set<String> = []
        var read: Set<ISCSIName> = []
        for name in found.map(\.target) where read.insert(name).inserted {
            var reading = OpenISCSITargetReading(
                name: name, nodes: found.filter { $0.target == name }, secrets: secrets)
            reading.read(disk: Self.diskName(name, &names))
            targets.append(reading.target)
            problems += reading.problems
        }
        // Also from the place where it would be found: with open-iscsi that file may go.
        initiatorName = files.initiatorName(&problems).name
    }

    public var isEmpty: Bool { targets.isEmpty }

    /// From the end of a target's name, short enough for the numbers of LUNs behind it.
    static func diskName(_ target: ISCSIName, _ taken: inout Set<String>) -> String {
        let isSeparator: (Character) -> Bool = { $0 == ":" || $0 == "." }
        let last = target.text.lowercased().split(whereSeparator: isSeparator).last ?? "disk"
        let plain = String(last.map { DiskName.isValid("a\($0)") ? $0 : "-" })
        let start = String(plain.drop { $0 == "-" || $0 == "_" }.prefix(20))
        let base = start.isEmpty ? "disk" : start
        var name = base
        var number = 2
        while !taken.insert(name).inserted {
            name = "\(base)-\(number)"
            number += 1
        }
        return name
    }

    // MARK: What it comes to

    /// A `causeway.toml`. Secrets are only named in it.
    public var text: String {
        var lines = ["# Made of the records of open-iscsi in \(nodes); causeway.toml(5) tells what it means."]
        if let initiatorName {
            lines += ["", "initiator-name = \(DiskConfiguration.quoted(initiatorName.text))"]
        }
        for target in targets {
            lines += ["", "# \(command(target))"]
            if target.isManual {
                lines.append("# (node.startup is manual: without --persist it is attached only this once)")
            }
            guard !target.lines.isEmpty else { continue }
            lines += ["[target.\(DiskConfiguration.quoted(target.name.text))]"] + target.lines
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// What attaches the LUNs of each target.
    public var commands: [String] { targets.map(command) }

    private func command(_ target: Target) -> String {
        var words = ["causeway", "attach", target.disk, "--target", target.name.text]
        words += target.portals.flatMap { ["--portal", $0.description] }
        words += target.interfaces.flatMap { ["--bind", $0] }
        words += ["--all-luns", "--persist"]
        return words.map(Self.shellWord).joined(separator: " ")
    }

    private static func shellWord(_ word: String) -> String {
        let plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_,/@%+="
        guard word.isEmpty || !word.allSatisfy(plain.contains) else { return word }
        return "'\(word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''"))'"
    }

    /// Where secrets go, and which record each comes from.
    public var secretFiles: [(path: String, source: String)] {
        targets.flatMap(\.secrets).map { ($0.path, $0.source) }
    }

    // MARK: Writing

    /// Writes the configuration and the secrets. Nothing that is there is written over: then nothing is
    /// written at all. Returns what was written.
    public func write(to adapter: String) throws(OpenISCSIImportError) -> [String] {
        var check: [ConfigurationProblem] = []
        _ = AdapterConfiguration(text, file: adapter, problems: &check)
        guard check.isEmpty else { throw .wrong(check) }
        let secrets = targets.flatMap(\.secrets)
        let taken = ([adapter] + secrets.map(\.path)).filter(SmallFile.exists)
        guard taken.isEmpty else { throw .taken(taken) }
        var written: [String] = []
        do throws(SystemError) {
            if let slash = adapter.lastIndex(of: "/"), slash > adapter.startIndex {
                try SmallFile.makeFolder(String(adapter[..<slash]))
            }
            for secret in secrets {
                if let slash = secret.path.lastIndex(of: "/") {
                    try SmallFile.makeFolder(String(secret.path[..<slash]), mode: 0o700)
                }
                try SmallFile.create(secret.path, with: secret.text + "\n", mode: 0o600)
                written.append(secret.path)
            }
            try SmallFile.create(adapter, with: text, mode: 0o644)
            return written + [adapter]
        } catch {
            // Half of it would be in the way of the next try.
            for path in written { _ = try? SmallFile.remove(path) }
            throw .system(error)
        }
    }
}

/// Why an import is not written.
public enum OpenISCSIImportError: Error, Equatable, Sendable {
    /// These are there already.
    case taken([String])
    case system(SystemError)
    /// What was made of the records is no configuration.
    case wrong([ConfigurationProblem])

    public var message: String {
        switch self {
        case .taken(let paths): "nothing is written: there is \(paths.joined(separator: ", ")) already"
        case .system(let error): "nothing is written: \(error)"
        case .wrong(let problems):
            "nothing is written: \(problems.map(\.description).joined(separator: "; "))"
        }
    }

    public var remedy: String {
        switch self {
        case .taken:
            "take what is missing from the dry run, or write it elsewhere with --config; "
                + "secrets go into the folder secrets beside that file"
        case .system: "run the command as root"
        case .wrong: "take what is right from the dry run, and correct the record"
        }
    }
}
