import ArgumentParser
import CausewayControl

struct Change: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Change settings of a disk while it lives, or show them.",
        discussion: "The settings are described in causeway(1).")

    @Argument(help: "The disk's name.", completion: .attachedDisks, transform: DiskName.argument)
    var name: DiskName

    @Argument(
        help: ArgumentHelp("What to change; without, the settings are shown.", valueName: "key=value"),
        transform: Setting.argument)
    var settings: [Setting] = []

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        _ = try usage { () throws(ControlError) in try Setting.byKey(settings) }
    }

    func run() throws {
        let changes = try Setting.byKey(settings)
        let disk = try connection.ask { client throws(ControlClientError) in
            changes.isEmpty
                ? try client.status(name) : try client.set(SetRequest(name: name, settings: changes))
        }
        Terminal.write(disk.settingLines)
    }
}

/// A `key=value` of the command line.
struct Setting {
    var key: String
    var value: String

    /// For an argument: what is wrong with it is a usage error.
    @Sendable static func argument(_ text: String) throws -> Setting {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
            throw ValidationError("\"\(text.escapedForTerminal)\" is not key=value")
        }
        return Setting(key: String(text[..<equals]), value: String(text[text.index(after: equals)...]))
    }

    static func byKey(_ settings: [Setting]) throws(ControlError) -> [String: String] {
        var values: [String: String] = [:]
        for setting in settings where values.updateValue(setting.value, forKey: setting.key) != nil {
            throw .invalidArgument("\(setting.key) is given twice", remedy: "give it once")
        }
        return values
    }
}
