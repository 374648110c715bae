/// What becomes of a disk's I/O when paths, the LUN or its space run out.
public struct FailureSettings: Equatable, Sendable {
    /// How long I/O is held while all paths are down.
    public enum Patience: Equatable, Sendable {
        case milliseconds(UInt64)
        case forever
    }

    /// What a sent write does where no fence can be had, because no portal of its portal group answers.
    public enum Fence: String, CaseIterable, Sendable {
        /// It waits for the portal group, or for the end of the all-paths-down time-out.
        case hold
        /// LOGICAL UNIT RESET through a living path, which ends the commands of everyone on the LUN.
        case logicalUnitReset = "lun-reset"
        /// It is sent again without one. Its first copy may then overwrite newer data: for LUNs whose data
        /// are worth nothing.
        case none
    }

    /// What a write does for which a thin LUN has no space (7/27/07).
    public enum Space: String, CaseIterable, Sendable {
        case error
        /// It is held, and tried again until there is space.
        case hold
    }

    /// vSphere's Misc.APDTimeout.
    public var allPathsDownTimeout = Patience.milliseconds(140_000)
    public var access = AccessMode.automatic
    public var fence = Fence.hold
    public var space = Space.error

    public init() {}
}

extension FailureSettings.Patience {
    /// When patience that began at `since` ends.
    func end(since: Instant) -> Instant {
        switch self {
        case .milliseconds(let milliseconds): since.adding(milliseconds: milliseconds)
        case .forever: .never
        }
    }
}

extension FailureSettings.Patience: CustomStringConvertible {
    public var description: String {
        switch self {
        case .milliseconds(let milliseconds) where milliseconds % 1000 == 0: "\(milliseconds / 1000) s"
        case .milliseconds(let milliseconds): "\(milliseconds) ms"
        case .forever: "as long as it takes"
        }
    }
}

extension FailureSettings.Patience {
    static let allowed = "seconds, a time such as 90s or 10m, or forever"

    init(_ text: String) throws(WrongSettingValue) {
        if text == "forever" {
            self = .forever
        } else {
            let isPlain = !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
            self = .milliseconds(try SettingText.milliseconds(1000...86_400_000)(isPlain ? text + "s" : text))
        }
    }

    var settingText: String {
        switch self {
        case .milliseconds(let milliseconds): SettingText.time(milliseconds)
        case .forever: "forever"
        }
    }
}
