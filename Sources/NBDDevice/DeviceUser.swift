import Glibc

/// Somebody who uses a device or a partition of it. `device` is `nbd0` or `nbd0p1`.
public enum DeviceUser: Equatable, Hashable, Sendable {
    /// A mounted file system. `seenBy` is a process in whose mount namespace it is, when that is not ours.
    case mount(point: String, device: String, seenBy: Int32?)
    case swap(device: String)
    /// A block device built on top, such as `dm-0` with the label `vg0-home`.
    case holder(String, label: String?, device: String)
    /// A process that has it open.
    case opener(pid: Int32, command: String, device: String)

    /// Everybody who can be found, without opening the device. Mounts of all mount namespaces are searched,
    /// each once. As root; others see less. What has ended meanwhile is left out.
    public static func find(of device: KernelDevice) -> [DeviceUser] {
        DeviceUserSearch(device).run()
    }
}

extension DeviceUser {
    /// The same place of the same device, in whatever mount namespace.
    fileprivate func isSameMount(as other: DeviceUser) -> Bool {
        guard case .mount(let point, let device, _) = self,
            case .mount(let otherPoint, let otherDevice, _) = other
        else { return false }
        return point == otherPoint && device == otherDevice
    }
}

extension DeviceUser: CustomStringConvertible {
    public var description: String {
        switch self {
        case .mount(let point, let device, nil):
            "\(device) is mounted on \(point)"
        case .mount(let point, let device, let pid?):
            "\(device) is mounted on \(point) in the mount namespace of process \(pid)"
        case .swap(let device):
            "\(device) is swap space (swapoff /dev/\(device))"
        case .holder(let holder, let label, let device):
            "\(device) is used by \(label.map { "\($0) (\(holder))" } ?? holder)"
        case .opener(let pid, let command, let device):
            "\(device) is open in process \(pid) (\(command))"
        }
    }
}

/// One look through procfs and sysfs.
private struct DeviceUserSearch {
    let device: KernelDevice
    let members: [(name: String, number: DeviceNumber)]

    init(_ device: KernelDevice) {
        self.device = device
        members = device.members()
    }

    private var proc: String { device.system.proc }

    func run() -> [DeviceUser] {
        var users: [DeviceUser] = mounts(in: "\(proc)/self/mountinfo", seenBy: nil)
        users += swaps()
        users += device.holders()
        var namespaces: Set<String> = []
        if let ours = SystemFile.target(ofLink: "\(proc)/self/ns/mnt") { namespaces.insert(ours) }
        for pid in SystemFile.names(in: proc).compactMap({ Int32($0) }).sorted() {
            if let namespace = SystemFile.target(ofLink: "\(proc)/\(pid)/ns/mnt"),
                namespaces.insert(namespace).inserted
            {
                // Most services in a sandbox have copies of our mounts, which go with them.
                let known = users
                users += mounts(in: "\(proc)/\(pid)/mountinfo", seenBy: pid).filter { copy in
                    !known.contains { $0.isSameMount(as: copy) }
                }
            }
            // Our own descriptors, an `ExclusiveClaim` among them, are nobody's use of the device.
            if pid != getpid() { users += openings(by: pid) }
        }
        return users
    }

    private func mounts(in path: String, seenBy pid: Int32?) -> [DeviceUser] {
        let text = (try? SystemFile.read(path, byteCountMax: 16 << 20)) ?? nil
        return (text ?? "").split(separator: "\n").compactMap { line in
            guard let entry = MountInfoEntry(line) else { return nil }
            // Some file systems, btrfs among them, show a number of their own: then the source tells.
            let name =
                members.first { $0.number == entry.number }?.name
                ?? (entry.number.major == 0 ? member(at: entry.source) : nil)
            return name.map { .mount(point: entry.mountPoint, device: $0, seenBy: pid) }
        }
    }

    private func swaps() -> [DeviceUser] {
        let text = (try? SystemFile.read("\(proc)/swaps", byteCountMax: 1 << 20)) ?? nil
        return (text ?? "").split(separator: "\n").dropFirst().compactMap { line in
            guard let first = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).first else {
                return nil
            }
            return member(at: unescapedOctal(first)).map { .swap(device: $0) }
        }
    }

    private func openings(by pid: Int32) -> [DeviceUser] {
        var found: [String] = []
        for descriptor in SystemFile.names(in: "\(proc)/\(pid)/fd") {
            if let path = SystemFile.target(ofLink: "\(proc)/\(pid)/fd/\(descriptor)"),
                let name = member(at: path), !found.contains(name)
            {
                found.append(name)
            }
        }
        guard !found.isEmpty else { return [] }
        let command = (try? SystemFile.read("\(proc)/\(pid)/comm")) ?? nil
        return found.map { .opener(pid: pid, command: command ?? "?", device: $0) }
    }

    /// Which of the disk's devices the node at `path` is. Only nodes under `/dev` are looked at: elsewhere a
    /// dead network file system could hold us.
    private func member(at path: String) -> String? {
        guard path.hasPrefix("/dev/") else { return nil }
        let name = path.dropFirst(5)
        if let member = members.first(where: { $0.name == name }) { return member.name }
        guard let number = DeviceNumber(nodeAt: path) else { return nil }
        return members.first { $0.number == number }?.name
    }
}

/// One line of `/proc/PID/mountinfo` (proc(5)), as far as needed here.
struct MountInfoEntry: Equatable {
    var number: DeviceNumber
    var mountPoint: String
    var fileSystem: String
    var source: String

    init?(_ line: some StringProtocol) {
        // ID, parent, device, root, mount point, options, optional fields, "-", type, source, super options
        let words = line.split(separator: " ")
        guard let separator = words.firstIndex(of: "-"), separator >= 6, words.count > separator + 2,
            let number = DeviceNumber(words[2])
        else { return nil }
        self.number = number
        mountPoint = unescapedOctal(words[4])
        fileSystem = unescapedOctal(words[separator + 1])
        source = unescapedOctal(words[separator + 2])
    }
}

/// `\040` and the like (space, tab, line feed, backslash, hash) back into the bytes that they stand for.
func unescapedOctal(_ text: some StringProtocol) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        let digits = rest.prefix(3)
        if byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (0x30...0x37).contains($0) }) {
            let value = digits.reduce(0) { $0 << 3 | Int($1 & 7) }
            bytes.append(UInt8(truncatingIfNeeded: value))
            rest = rest.dropFirst(3)
        } else {
            bytes.append(byte)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
