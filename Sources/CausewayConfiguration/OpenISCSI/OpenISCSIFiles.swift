import CausewayControl
import CausewayCore
import Glibc
import LinuxSystem

/// A node record: one target at one portal through one interface.
struct OpenISCSINode: Sendable {
    var target: ISCSIName
    var portal: CausewayControl.PortalAddress
    /// nil: unbound.
    var interface: String?
    var record: OpenISCSIRecord
}

/// open-iscsi's files: `nodes/TARGET/ADDRESS,PORT,TPGT/IFACE`, with the older layouts in which the last
/// folder is the record itself or has no TPGT, and `ifaces/IFACE` and `initiatorname.iscsi` beside `nodes`.
struct OpenISCSIFiles {
    /// A longer file is no record.
    private static let bytesMax = 1 << 16

    let nodes: String
    /// The interface with a hardware address, in lower case.
    let interfaceOfAddress: (String) -> String?
    private var root: String { nodes.lastIndex(of: "/").map { String(nodes[..<$0]) } ?? "." }

    init(nodes: String, interfaceOfAddress: @escaping (String) -> String? = Self.presentInterface) {
        self.nodes = nodes
        self.interfaceOfAddress = interfaceOfAddress
    }

    /// In the order of the names; what is wrong is added to `problems` and skipped.
    func load(_ problems: inout [ConfigurationProblem]) -> [OpenISCSINode] {
        var found: [OpenISCSINode] = []
        for target in names(nodes, &problems) ?? [] {
            let folder = "\(nodes)/\(target)"
            let name: ISCSIName
            do throws(ISCSINameError) {
                name = try ISCSIName(target)
            } catch {
                problems.append(ConfigurationProblem(file: folder, reason: "\(error): skipped"))
                continue
            }
            for entry in names(folder, &problems) ?? [] {
                for file in files("\(folder)/\(entry)", &problems) {
                    guard let record = read(file, &problems) else { continue }
                    if let node = node(record, name, entry, &problems) { found.append(node) }
                }
            }
        }
        return found
    }

    /// The name in `initiatorname.iscsi`, and the file's path.
    func initiatorName(_ problems: inout [ConfigurationProblem]) -> (name: ISCSIName?, file: String) {
        let file = "\(root)/initiatorname.iscsi"
        guard (try? SmallFile.read(file, limit: Self.bytesMax)) != nil,
            let record = read(file, &problems), let value = record["InitiatorName"]
        else { return (nil, file) }
        do throws(ISCSINameError) {
            return (try ISCSIName(value.text), file)
        } catch {
            problems.append(ConfigurationProblem(file: file, line: value.line, reason: "\(error)"))
            return (nil, file)
        }
    }

    // MARK: Records

    private func node(
        _ record: OpenISCSIRecord, _ target: ISCSIName, _ entry: String,
        _ problems: inout [ConfigurationProblem]
    ) -> OpenISCSINode? {
        func skip(_ line: Int?, _ reason: String) -> OpenISCSINode? {
            problems.append(
                ConfigurationProblem(file: record.file, line: line, reason: "\(reason): skipped"))
            return nil
        }
        if let name = record["node.name"], (try? ISCSIName(name.text)) != target {
            return skip(name.line, "node.name is not the target that the folder is named after")
        }
        let parts = entry.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let address = record["node.conn[0].address"]
        let port = record["node.conn[0].port"]
        guard let host = address?.text ?? parts.first, let number = port?.text ?? parts.dropFirst().first
        else { return skip(nil, "it has no node.conn[0].address and node.conn[0].port") }
        let portal: CausewayControl.PortalAddress
        do throws(ControlError) {
            let isBare = host.contains(":") && !host.hasPrefix("[")
            portal = try CausewayControl.PortalAddress(parsing: (isBare ? "[\(host)]" : host) + ":\(number)")
        } catch {
            return skip(address?.line ?? port?.line, error.message)
        }
        let binding = interface(record, &problems)
        guard case .found(let interface) = binding else { return nil }
        return OpenISCSINode(target: target, portal: portal, interface: interface, record: record)
    }

    private enum Binding {
        /// nil: unbound.
        case found(String?)
        case none
    }

    /// What a record says of its interface goes before what the interface's own file says.
    private func interface(_ record: OpenISCSIRecord, _ problems: inout [ConfigurationProblem]) -> Binding {
        let name = record["iface.iscsi_ifacename"]
        var own: OpenISCSIRecord?
        if let name, name.text != "default", !name.text.contains("/"),
            (try? SmallFile.read("\(root)/ifaces/\(name.text)", limit: Self.bytesMax)) != nil
        {
            own = read("\(root)/ifaces/\(name.text)", &problems)
        }
        func value(_ key: String) -> (text: String, file: String, line: Int)? {
            if let value = record[key] { return (value.text, record.file, value.line) }
            return own.flatMap { own in own[key].map { ($0.text, own.file, $0.line) } }
        }
        func skip(_ file: String, _ line: Int?, _ reason: String) -> Binding {
            let place = file == record.file ? "" : " (for \(record.file))"
            problems.append(
                ConfigurationProblem(file: file, line: line, reason: "\(reason): skipped\(place)"))
            return .none
        }
        if let transport = value("iface.transport_name"), transport.text != "tcp" {
            return skip(transport.file, transport.line, "its transport is \(transport.text), not tcp")
        }
        if let network = value("iface.net_ifacename") { return .found(network.text) }
        if let hardware = value("iface.hwaddress"), hardware.text != "default" {
            guard let found = interfaceOfAddress(hardware.text.lowercased()) else {
                return skip(
                    hardware.file, hardware.line, "no interface here has the address \(hardware.text)")
            }
            return .found(found)
        }
        if let name, name.text != "default", own == nil {
            return skip(
                record.file, name.line,
                "its interface \"\(name.text)\" has no file \(root)/ifaces/\(name.text)")
        }
        return .found(nil)
    }

    /// The records under a portal's name: one an interface, or the file itself.
    private func files(_ path: String, _ problems: inout [ConfigurationProblem]) -> [String] {
        do throws(SystemError) {
            return try SmallFile.list(path).filter(Self.isName).sorted().map { "\(path)/\($0)" }
        } catch {
            if error.errno.rawValue == ENOTDIR { return [path] }
            problems.append(ConfigurationProblem(file: path, reason: "\(error): skipped"))
            return []
        }
    }

    private func names(_ folder: String, _ problems: inout [ConfigurationProblem]) -> [String]? {
        do throws(SystemError) {
            return try SmallFile.list(folder).filter(Self.isName).sorted()
        } catch {
            problems.append(ConfigurationProblem(file: folder, reason: "it cannot be read: \(error)"))
            return nil
        }
    }

    private static func isName(_ name: String) -> Bool { !name.hasPrefix(".") && !name.hasSuffix("~") }

    private func read(_ path: String, _ problems: inout [ConfigurationProblem]) -> OpenISCSIRecord? {
        do throws(SystemError) {
            let text = try SmallFile.read(path, limit: Self.bytesMax)
            return OpenISCSIRecord(text, file: path, problems: &problems)
        } catch {
            problems.append(ConfigurationProblem(file: path, reason: "it cannot be read: \(error): skipped"))
            return nil
        }
    }

    /// By the address that the kernel shows of it.
    static func presentInterface(_ address: String) -> String? {
        let folder = "/sys/class/net"
        return ((try? SmallFile.list(folder)) ?? []).sorted().first { name in
            let text = try? SmallFile.read("\(folder)/\(name)/address")
            return text?.split(separator: "\n").first.map { $0.lowercased() } == address
        }
    }
}
