public import CausewayControl
import Glibc
public import LinuxSystem

/// The files as they lie on the machine: `causeway.toml`, and a disk a file beside it.
public struct ConfigurationFiles: Sendable, Equatable {
    /// A longer file is no configuration.
    public static let bytesMax = 1 << 20

    /// `causeway.toml`
    public var adapter: String
    /// The folder of the disks' files.
    public var disks: String

    /// The disks' folder stands beside the adapter's file.
    public init(adapter: String = AdapterConfiguration.defaultPath) {
        self.adapter = adapter
        let folder = adapter.lastIndex(of: "/").map { String(adapter[..<$0]) } ?? "."
        disks = folder + "/disks"
    }

    public func path(of disk: DiskName) -> String {
        "\(disks)/\(disk)\(DiskConfiguration.fileSuffix)"
    }

    /// Everything that is configured; whatever is wrong is in `problems`. Without a file nothing is, which is
    /// no problem.
    public func load() -> (configuration: Configuration, problems: [ConfigurationProblem]) {
        var problems: [ConfigurationProblem] = []
        var configuration = Configuration()
        if let text = read(adapter, &problems) {
            configuration.adapterText = text
            configuration.adapter = AdapterConfiguration(text, file: adapter, problems: &problems)
        }
        for file in names(&problems) {
            let path = "\(disks)/\(file)"
            guard let name = Self.diskName(file) else {
                problems.append(
                    ConfigurationProblem(
                        file: path, reason: "the file's name is not that of a disk, NAME.toml",
                        severity: .warning
                    ))
                continue
            }
            guard let text = read(path, &problems) else { continue }
            if let disk = DiskConfiguration(text, name: name, file: path, problems: &problems) {
                configuration.disks.append(disk)
            }
        }
        problems += configuration.check(files: self)
        return (configuration, problems)
    }

    /// What is wrong with the secrets' files that these files name: the daemon tries them again and again, so
    /// for it that is no mistake in a file of its own. Credentials are only known to the service.
    public func checkSecrets(of configuration: Configuration, owner: UInt32 = 0) -> [ConfigurationProblem] {
        Self.checkSecrets(configuration.adapter.secretFiles, adapter, owner)
            + configuration.disks.flatMap { disk in
                Self.checkSecrets(disk.layer.secretFiles, path(of: disk.name), owner)
            }
    }

    private static func checkSecrets(
        _ secrets: [(path: String, line: Int)], _ file: String, _ owner: UInt32
    ) -> [ConfigurationProblem] {
        secrets.compactMap { secret in
            do throws(SecretError) {
                _ = try SecretFile.read(.file(secret.path), owner: owner)
                return nil
            } catch {
                var problem = ConfigurationProblem(file: file, line: secret.line, reason: "\(error)")
                // Whoever checks may not be the one who is to read it.
                if case .system(let failure) = error.reason, failure.errno.rawValue == EACCES {
                    problem.severity = .warning
                }
                return problem
            }
        }
    }

    /// One file by itself: a disk's if it lies in a folder named `disks`, else an adapter's.
    public static func check(_ path: String, owner: UInt32 = 0) -> [ConfigurationProblem] {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        var problems: [ConfigurationProblem] = []
        let files = ConfigurationFiles(adapter: path)
        guard let text = files.read(path, &problems) else {
            if problems.isEmpty { problems.append(ConfigurationProblem(file: path, reason: "no such file")) }
            return problems
        }
        if parts.dropLast().last == "disks" {
            guard let file = parts.last, let name = diskName(file) else {
                return [
                    ConfigurationProblem(
                        file: path, reason: "the file's name is not that of a disk, NAME.toml")
                ]
            }
            let disk = DiskConfiguration(text, name: name, file: path, problems: &problems)
            problems += checkSecrets(disk?.layer.secretFiles ?? [], path, owner)
        } else {
            let adapter = AdapterConfiguration(text, file: path, problems: &problems)
            problems += checkSecrets(adapter.secretFiles, path, owner)
        }
        return problems
    }

    /// One disk's file; nil if there is none.
    public func disk(_ name: DiskName, problems: inout [ConfigurationProblem]) -> DiskConfiguration? {
        guard let text = read(path(of: name), &problems) else { return nil }
        return DiskConfiguration(text, name: name, file: path(of: name), problems: &problems)
    }

    /// Writes a disk's file, whole or not at all.
    public func write(_ disk: DiskConfiguration) throws(SystemError) {
        try SmallFile.makeFolder(disks)
        try SmallFile.replace(path(of: disk.name), with: disk.text)
    }

    /// Whether there was a file to remove.
    public func remove(_ name: DiskName) throws(SystemError) -> Bool {
        try SmallFile.remove(path(of: name))
    }

    private static func diskName(_ file: String) -> DiskName? {
        guard file.hasSuffix(DiskConfiguration.fileSuffix) else { return nil }
        let base = String(file.dropLast(DiskConfiguration.fileSuffix.count))
        return DiskName.isValid(base) ? try? DiskName(base) : nil
    }

    /// nil if there is no such file, or if it cannot be read, which is a problem.
    private func read(_ path: String, _ problems: inout [ConfigurationProblem]) -> String? {
        do throws(SystemError) {
            return try SmallFile.read(path, limit: Self.bytesMax)
        } catch {
            if error.errno != .noSuchFile {
                problems.append(ConfigurationProblem(file: path, reason: "it cannot be read: \(error)"))
            }
            return nil
        }
    }

    /// The disks' files in the order of their names; hidden files and what editors leave are passed over.
    private func names(_ problems: inout [ConfigurationProblem]) -> [String] {
        do throws(SystemError) {
            return try SmallFile.list(disks).filter { !$0.hasPrefix(".") && !$0.hasSuffix("~") }.sorted()
        } catch {
            if error.errno != .noSuchFile {
                problems.append(ConfigurationProblem(file: disks, reason: "it cannot be read: \(error)"))
            }
            return []
        }
    }
}
