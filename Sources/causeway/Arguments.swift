import ArgumentParser
import CausewayControl

extension DiskName {
    /// For an argument: what is wrong with it is a usage error.
    @Sendable static func argument(_ text: String) throws -> DiskName {
        try usage { () throws(ControlError) in try DiskName(text) }
    }
}

extension CompletionKind {
    /// The names of the disks that are attached. Without a daemon there are none, and no complaint.
    static let attachedDisks = CompletionKind.shellCommand("causeway list --names 2>/dev/null")
    static let networkInterfaces = CompletionKind.shellCommand("ls /sys/class/net")
}

extension PortalAddress {
    /// For an argument: what is wrong with it is a usage error.
    @Sendable static func argument(_ text: String) throws -> PortalAddress {
        try usage { () throws(ControlError) in try PortalAddress(parsing: text) }
    }
}

/// Runs a check of the command line; what it finds is reported as wrong usage, status 64.
func usage<Value>(_ check: () throws(ControlError) -> Value) throws -> Value {
    do throws(ControlError) {
        return try check()
    } catch {
        throw ValidationError("\(error.message.escapedForTerminal); \(error.remedy.escapedForTerminal)")
    }
}

extension Array where Element: Hashable {
    /// What is given twice counts once.
    var withoutRepeats: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
