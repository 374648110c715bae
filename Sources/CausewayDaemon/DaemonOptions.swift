public import CausewayConfiguration
public import Logging

/// What the command line of `causewayd` says.
public struct DaemonOptions: Sendable, Equatable {
    public static let defaultStateDirectory = "/run/causeway"
    public static let defaultDataDirectory = "/var/lib/causeway"

    /// `causeway.toml`; the disks' files are in `disks` beside it.
    public var configuration = ConfigurationFiles()

    /// The control socket; nil: `io.causeway` in the state directory.
    public var control: String?
    /// What must survive the daemon but not the machine: sessions to fence, the control socket.
    public var stateDirectory: String
    /// What is to survive the machine's restart too: what discovery found.
    public var dataDirectory = defaultDataDirectory
    /// The initiator's iSCSI name; nil: as the configuration says, or `/etc/iscsi/initiatorname.iscsi`, or
    /// `/etc/causeway/initiatorname`.
    public var initiatorName: String?
    public var logLevel: Logger.Level
    /// For developers: writes are sent again without the barrier, to show what it is for.
    public var skipsBarrier = false

    public init(
        control: String? = nil, stateDirectory: String = defaultStateDirectory, initiatorName: String? = nil,
        logLevel: Logger.Level = .info
    ) {
        self.control = control
        self.stateDirectory = stateDirectory
        self.initiatorName = initiatorName
        self.logLevel = logLevel
    }

    public var controlPath: String { control ?? stateDirectory + "/io.causeway" }
}
