public import CausewayCore
import Glibc
public import LinuxSystem

/// The name under which this machine logs in.
enum InitiatorName {
    /// Where names are kept and made from.
    struct Places: Sendable {
        /// open-iscsi's: a machine has one name, whoever logs in.
        var openISCSI = "/etc/iscsi/initiatorname.iscsi"
        var own = "/etc/causeway/initiatorname"
        var machineID = "/etc/machine-id"
    }

    /// What comes before the digits of a name that is made here.
    static let prefix = "iqn.2026-01.io.causeway:"

    /// `override`, else open-iscsi's name, else our own; where there is none, one is made of the
    /// machine-id, which is the same every time, and kept if that is possible.
    ///
    /// A name that is written down and cannot be used is an error and never passed over: with another name
    /// the target would show other LUNs, or none.
    static func load(
        override: String?, places: Places = Places()
    ) throws(InitiatorNameError) -> ISCSIName {
        if let override { return try check(override, from: nil) }
        for path in [places.openISCSI, places.own] {
            if let name = try read(path) { return name }
        }
        return try make(places)
    }

    /// nil if there is no such file, or one without a name: Debian's open-iscsi installs such a file and
    /// fills it in at its first start.
    private static func read(_ path: String) throws(InitiatorNameError) -> ISCSIName? {
        let text: String
        do throws(SystemError) {
            text = try SmallFile.read(path)
        } catch {
            if error.errno == .noSuchFile || error.errno.rawValue == ENOTDIR { return nil }
            throw .unreadable(error)
        }
        guard let name = Self.name(in: text) else { return nil }
        return try check(name, from: path)
    }

    /// What administrators call this machine on the target: as configured, else from an `InitiatorAlias=`
    /// line beside the name (RFC 7143 §13.7).
    static func alias(configured: String?, places: Places = Places()) -> String? {
        if let configured { return configured }
        for path in [places.openISCSI, places.own] {
            guard let text = try? SmallFile.read(path) else { continue }
            guard let alias = value(of: "InitiatorAlias", in: text) else { continue }
            return LoginOptions.isAlias(alias) ? alias : nil
        }
        return nil
    }

    /// The value of the first `InitiatorName=` line; `#` begins a comment line.
    static func name(in text: String) -> String? { value(of: "InitiatorName", in: text) }

    private static func value(of key: String, in text: String) -> String? {
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, trimmed(parts[0]) == key else { continue }
            return trimmed(parts[1])
        }
        return nil
    }

    private static func trimmed(_ text: Substring) -> String {
        let start = text.drop { $0 == " " || $0 == "\t" }
        return String(start.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }

    private static func check(_ text: String, from path: String?) throws(InitiatorNameError) -> ISCSIName {
        do throws(ISCSINameError) {
            return try ISCSIName(text)
        } catch {
            throw .invalid(error, path: path)
        }
    }

    private static func make(_ places: Places) throws(InitiatorNameError) -> ISCSIName {
        guard let machineID = try? MachineIdentity.machineID(path: places.machineID) else {
            // Nothing to make a lasting name of: chance, and then it must be kept.
            let name = try check(prefix + digits(UInt64.random(in: 0...UInt64.max)), from: nil)
            do throws(SystemError) {
                try keep(name, at: places.own)
            } catch {
                throw .cannotKeep(error)
            }
            return name
        }
        var hash = StableHash(key0: 0x6e61_6d65)
        hash.append(machineID)
        let name = try check(prefix + digits(hash.value()), from: nil)
        // Where /etc cannot be written, the next start makes the same name again.
        try? keep(name, at: places.own)
        return name
    }

    /// Twelve hexadecimal digits.
    private static func digits(_ number: UInt64) -> String {
        let text = String(number & 0xffff_ffff_ffff, radix: 16)
        return String(repeating: "0", count: 12 - text.count) + text
    }

    private static func keep(_ name: ISCSIName, at path: String) throws(SystemError) {
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            try SmallFile.makeFolder(String(path[..<slash]))
        }
        try SmallFile.replace(
            path,
            with: """
                ## The name under which causewayd logs in to targets, made once for this machine.
                ## Targets know it from their access lists; change it only while no disk is attached.
                InitiatorName=\(name.text)

                """)
    }
}

/// Why there is no name to log in under.
public enum InitiatorNameError: Error, Equatable, Sendable {
    /// `path` is nil for a name given as an option.
    case invalid(ISCSINameError, path: String?)
    case unreadable(SystemError)
    /// The machine has no machine-id, and a name made by chance cannot be kept.
    case cannotKeep(SystemError)
}

extension InitiatorNameError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .invalid(let error, nil): "the initiator name cannot be used: \(error)"
        case .invalid(let error, let path?):
            "the initiator name in \(path) cannot be used: \(error); correct the line InitiatorName= there"
        case .unreadable(let error): "the initiator name cannot be read: \(error)"
        case .cannotKeep(let error):
            """
            this machine has no /etc/machine-id to make an initiator name of, and a random one cannot be \
            kept: \(error); give one with --initiator-name
            """
        }
    }
}
