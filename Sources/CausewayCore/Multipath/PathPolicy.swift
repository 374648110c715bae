/// How the commands of a disk are spread over its paths, as people choose it: `name[,option=value]…`.
///
/// Where the target has better and worse paths (ALUA), a policy chooses among the best of those that work.
public enum PathPolicy: Equatable, Sendable {
    /// One path after the other.
    case roundRobin(RoundRobin)
    /// The path with the fewest commands under way.
    case leastQueueDepth
    /// The path on which a command is likely to be answered first; see `PathLoad`.
    case serviceTime
    /// One path, the preferred one whenever it works; without a preference the first.
    case fixed(preferred: PathName?)
    /// One path, until it fails; then another one, for good.
    case mostRecentlyUsed

    /// When the next path takes its turn: after so many commands or so many bytes, whichever comes first. nil
    /// does not count.
    public struct RoundRobin: BitwiseCopyable, Equatable, Sendable {
        public var commands: Int32?
        public var bytes: Int32?

        public init(commands: Int32? = nil, bytes: Int32? = nil) {
            self.commands = commands
            self.bytes = bytes
        }

        /// Small commands in runs, for a run goes out with one system call; large ones in turn, so that a few
        /// of them keep all paths busy.
        public static let standard = RoundRobin(commands: 8, bytes: 65536)
    }

    public static let standard = PathPolicy.roundRobin(.standard)

    /// What a policy may look like, for people.
    static let allowed =
        "round-robin[,ios=1..65536][,bytes=512..1G], least-queue-depth, service-time, "
        + "fixed[,preferred=INTERFACE[/PORTAL]] or most-recently-used"

    /// - Parameter text: such as `round-robin,ios=8`.
    init(_ text: String) throws(WrongSettingValue) {
        var parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let name = parts.removeFirst()
        var options = try PolicyOptions(parts)
        switch name {
        case "round-robin":
            let commands = try options.take("ios", SettingText.count(1...65536))
            let bytes = try options.take("bytes", SettingText.bytes(512...1 << 30))
            let isPlain = commands == nil && bytes == nil
            self = .roundRobin(
                isPlain
                    ? .standard : RoundRobin(commands: commands.map(Int32.init), bytes: bytes.map(Int32.init))
            )
        case "least-queue-depth": self = .leastQueueDepth
        case "service-time": self = .serviceTime
        case "fixed":
            self = .fixed(
                preferred: try options.take("preferred") { (text) throws(WrongSettingValue) in
                    guard !text.isEmpty else { throw WrongSettingValue("no path is named") }
                    return PathName(text)
                })
        case "most-recently-used": self = .mostRecentlyUsed
        default:
            throw WrongSettingValue("there is no policy \"\(name)\"")
        }
        try options.end(name)
    }
}

extension PathPolicy: CustomStringConvertible {
    /// The shortest text from which it can be made again.
    public var description: String {
        switch self {
        case .roundRobin(.standard): "round-robin"
        case .roundRobin(let turn):
            "round-robin" + (turn.commands.map { ",ios=\($0)" } ?? "")
                + (turn.bytes.map { ",bytes=\(SettingText.size(UInt64($0)))" } ?? "")
        case .leastQueueDepth: "least-queue-depth"
        case .serviceTime: "service-time"
        case .fixed(let preferred): "fixed" + (preferred.map { ",preferred=\($0.text)" } ?? "")
        case .mostRecentlyUsed: "most-recently-used"
        }
    }
}

/// A path as people name it: `interface`, `interface/portal` or `portal`, the port left out where it is 3260.
/// A name may fit several paths.
public struct PathName: Equatable, Sendable {
    public var text: String

    public init(_ text: String) { self.text = text }

    /// - Parameter portal: `address:port`.
    public func fits(interface: String, portal: String) -> Bool {
        let short = portal.hasSuffix(":3260") ? String(portal.dropLast(5)) : portal
        return [interface, portal, short, "\(interface)/\(portal)", "\(interface)/\(short)"].contains(text)
    }
}

/// The `option=value` parts of a policy; each may stand once.
private struct PolicyOptions {
    private var values: [String: String] = [:]

    init(_ parts: [String]) throws(WrongSettingValue) {
        for part in parts {
            guard let equals = part.firstIndex(of: "=") else {
                throw WrongSettingValue("\"\(part)\" is not option=value")
            }
            let option = String(part[..<equals])
            guard values.updateValue(String(part[part.index(after: equals)...]), forKey: option) == nil else {
                throw WrongSettingValue("\(option) stands twice")
            }
        }
    }

    mutating func take<Value>(
        _ option: String, _ read: (String) throws(WrongSettingValue) -> Value
    ) throws(WrongSettingValue) -> Value? {
        guard let text = values.removeValue(forKey: option) else { return nil }
        do throws(WrongSettingValue) {
            return try read(text)
        } catch {
            throw WrongSettingValue("\(option): \(error.reason)")
        }
    }

    func end(_ policy: String) throws(WrongSettingValue) {
        guard let left = values.keys.min() else { return }
        throw WrongSettingValue("\(policy) has no option \"\(left)\"")
    }
}
