import ArgumentParser
import CausewayControl

struct Causeway: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "causeway",
        abstract: "Attach LUNs of iSCSI targets as disks, over several network interfaces at once.",
        discussion: "The daemon causewayd does the work; see causeway(1) and causewayd(8).",
        version: "causeway \(CausewayVersion.current)",
        subcommands: [
            Discover.self, Attach.self, Change.self, PathCommand.self, Detach.self, Rescan.self, Reserve.self,
            List.self, Status.self, Params.self, Config.self, Reload.self, Import.self, Version.self,
        ])
}
