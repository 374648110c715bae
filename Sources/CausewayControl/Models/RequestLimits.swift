/// The bounds of what a request may hold, checked once where it comes in.
public enum RequestLimits {
    /// Portals, and likewise interfaces, in one request.
    public static let countMax = 64
    /// RFC 7143 §4.2.7.1: an iSCSI name has at most 223 bytes.
    public static let targetNameBytesMax = 223
    /// `IFNAMSIZ` without its NUL.
    public static let interfaceNameBytesMax = 15
    /// `sun_path` without its NUL.
    public static let socketPathBytesMax = 107
    public static let queueDepths: ClosedRange<UInt32> = 1...1024
    public static let queues: ClosedRange<UInt32> = 1...16

    static func check(portals: [PortalAddress]) throws(ControlError) {
        guard !portals.isEmpty else {
            throw .invalidArgument("no portal is given", remedy: "name at least one portal of the target")
        }
        guard portals.count <= countMax else {
            throw .invalidArgument(
                "\(portals.count) portals are too many", remedy: "name at most \(countMax)")
        }
        guard Set(portals).count == portals.count else {
            throw .invalidArgument("a portal is given twice", remedy: "name every portal once")
        }
    }

    static func check(interfaces: [String]) throws(ControlError) {
        guard interfaces.count <= countMax else {
            throw .invalidArgument(
                "\(interfaces.count) interfaces are too many", remedy: "name at most \(countMax)")
        }
        for name in interfaces where !isInterfaceName(name) { throw .noSuchInterface(name) }
        guard Set(interfaces).count == interfaces.count else {
            throw .invalidArgument("an interface is given twice", remedy: "name every interface once")
        }
    }

    static func check(target: String) throws(ControlError) {
        let plain = target.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f }
        guard plain, (1...targetNameBytesMax).contains(target.utf8.count) else {
            throw .invalidArgument(
                "\"\(target)\" is not the name of a target",
                remedy: "names look like iqn.2001-04.com.example:storage; causeway discover lists them")
        }
    }

    static func check(socket: String) throws(ControlError) {
        guard socket.utf8.first == UInt8(ascii: "/"), socket.utf8.count <= socketPathBytesMax,
            !socket.utf8.contains(0)
        else {
            throw .invalidArgument(
                "\"\(socket)\" cannot be the path of a socket",
                remedy: "give an absolute path of at most \(socketPathBytesMax) bytes")
        }
    }

    /// Settings in one request, and the bytes of each key and each value.
    public static let settingsMax = 64
    public static let settingBytesMax = 256

    static func check(settings: [String: String]) throws(ControlError) {
        guard settings.count <= settingsMax else {
            throw .invalidArgument(
                "\(settings.count) settings are too many", remedy: "give at most \(settingsMax)")
        }
        for (key, value) in settings where max(key.utf8.count, value.utf8.count) > settingBytesMax {
            throw .invalidArgument(
                "a setting is too long", remedy: "give at most \(settingBytesMax) bytes for each")
        }
    }

    private static func isInterfaceName(_ name: String) -> Bool {
        (1...interfaceNameBytesMax).contains(name.utf8.count) && name != "." && name != ".."
            && name.utf8.allSatisfy {
                $0 > 0x20 && $0 != 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":")
            }
    }
}
