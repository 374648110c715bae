/// The result of `Params`: every key that is negotiated for the sessions of a disk, and what became of it.
public struct ParametersReport: Codable, Equatable, Sendable {
    public struct Key: Codable, Equatable, Sendable {
        /// As RFC 7143 names it.
        public var key: String
        /// What it may be set to here.
        public var allowed: String
        /// The standard's default, if it has one.
        public var standard: String?
        /// How the value follows from what both sides want.
        public var rule: String

        public init(key: String, allowed: String, standard: String?, rule: String) {
            self.key = key
            self.allowed = allowed
            self.standard = standard
            self.rule = rule
        }
    }

    public struct Path: Codable, Equatable, Sendable {
        /// Whose session it is; nil for a disk of one queue.
        public var queue: UInt32?
        public var interface: String?
        public var portal: PortalAddress
        /// By key: what a login asks for.
        public var wanted: [String: String]
        /// By key: what the latest login settled; absent before the first.
        public var negotiated: [String: String]?
        /// How the sides proved who they are in the latest login: `None`, or CHAP with its hash function.
        public var authentication: String?

        public init(
            queue: UInt32? = nil, interface: String?, portal: PortalAddress, wanted: [String: String],
            negotiated: [String: String]?, authentication: String?
        ) {
            self.queue = queue
            self.interface = interface
            self.portal = portal
            self.wanted = wanted
            self.negotiated = negotiated
            self.authentication = authentication
        }
    }

    public var keys: [Key]
    public var paths: [Path]

    public init(keys: [Key], paths: [Path]) {
        self.keys = keys
        self.paths = paths
    }

    /// What `causeway params` prints: a table a path.
    public var lines: [String] {
        var lines: [String] = []
        for path in paths {
            if !lines.isEmpty { lines.append("") }
            let interface = path.interface.map { "\($0) -> " } ?? ""
            let queue = path.queue.map { ", queue \($0)" } ?? ""
            lines.append("\(interface)\(path.portal)\(queue)".escapedForTerminal)
            if let authentication = path.authentication {
                lines.append("  Authentication  \(authentication)")
            }
            var table = TextTable([
                .left("KEY"), .left("WANTED"), .left("NEGOTIATED"), .left("ALLOWED"), .left("STANDARD"),
                .left("RULE"),
            ])
            for key in keys {
                table.append([
                    key.key, path.wanted[key.key], path.negotiated?[key.key], key.allowed, key.standard,
                    key.rule,
                ])
            }
            lines += table.lines(indent: 2)
        }
        return lines.isEmpty ? ["no paths"] : lines
    }
}
