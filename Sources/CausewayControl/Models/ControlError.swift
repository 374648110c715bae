/// Why the daemon did not do what it was asked: a stable name for programs, two sentences for people.
///
/// The sentences begin in lower case and end without a full stop, as they follow `causeway: ` on a terminal.
public struct ControlError: Error, Equatable, Sendable {
    /// The name of a Varlink error of `io.causeway`. An open set: a client takes what a newer daemon says.
    public struct Kind: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        public static let noSuchInterface = Kind(rawValue: "NoSuchInterface")
        public static let interfaceWithoutAddress = Kind(rawValue: "InterfaceWithoutAddress")
        public static let portalUnreachable = Kind(rawValue: "PortalUnreachable")
        public static let targetNotFound = Kind(rawValue: "TargetNotFound")
        public static let loginRefused = Kind(rawValue: "LoginRefused")
        public static let authenticationFailed = Kind(rawValue: "AuthenticationFailed")
        public static let noSuchLUN = Kind(rawValue: "NoSuchLUN")
        public static let alreadyAttached = Kind(rawValue: "AlreadyAttached")
        public static let deviceInUse = Kind(rawValue: "DeviceInUse")
        public static let flushFailed = Kind(rawValue: "FlushFailed")
        public static let nbdModuleAbsent = Kind(rawValue: "NBDModuleAbsent")
        public static let reservationConflict = Kind(rawValue: "ReservationConflict")
        public static let noSuchDisk = Kind(rawValue: "NoSuchDisk")
        public static let wrongConfiguration = Kind(rawValue: "WrongConfiguration")
        public static let permissionDenied = Kind(rawValue: "PermissionDenied")
        public static let invalidName = Kind(rawValue: "InvalidName")
        public static let invalidArgument = Kind(rawValue: "InvalidArgument")
        public static let busy = Kind(rawValue: "Busy")
        public static let internalFailure = Kind(rawValue: "Internal")

        public static let all: [Kind] = [
            .noSuchInterface, .interfaceWithoutAddress, .portalUnreachable, .targetNotFound, .loginRefused,
            .authenticationFailed,
            .noSuchLUN, .alreadyAttached, .deviceInUse, .flushFailed, .nbdModuleAbsent, .noSuchDisk,
            .reservationConflict, .wrongConfiguration, .permissionDenied, .invalidName, .invalidArgument,
            .busy, .internalFailure,
        ]
    }

    public var kind: Kind
    /// What is wrong.
    public var message: String
    /// What to do about it.
    public var remedy: String
    /// `DeviceInUse`: who holds the device, such as `mounted on /srv` or `process 812 (fio)`.
    public var holders: [String]?
    /// `LoginRefused`: the login response's Status-Class and Status-Detail (RFC 7143 §11.13.5).
    public var statusClass: UInt8?
    public var statusDetail: UInt8?
    /// `WrongConfiguration`: every mistake with its file and line.
    public var problems: [String]?

    public init(
        kind: Kind, message: String, remedy: String, holders: [String]? = nil, statusClass: UInt8? = nil,
        statusDetail: UInt8? = nil, problems: [String]? = nil
    ) {
        self.kind = kind
        self.message = message
        self.remedy = remedy
        self.holders = holders
        self.statusClass = statusClass
        self.statusDetail = statusDetail
        self.problems = problems
    }
}

extension ControlError {
    /// The error's full name on the wire.
    public var varlinkName: String { "\(InterfaceDescription.name).\(kind.rawValue)" }

    /// The error's parameters on the wire.
    public struct Parameters: Codable, Equatable, Sendable {
        public var message: String
        public var remedy: String
        public var holders: [String]?
        public var statusClass: UInt8?
        public var statusDetail: UInt8?
        public var problems: [String]?
    }

    public var parameters: Parameters {
        Parameters(
            message: message, remedy: remedy, holders: holders, statusClass: statusClass,
            statusDetail: statusDetail, problems: problems)
    }

    /// nil when `varlinkName` is not an error of `io.causeway`.
    public init?(varlinkName: String, parameters: Parameters) {
        let prefix = "\(InterfaceDescription.name)."
        guard varlinkName.hasPrefix(prefix) else { return nil }
        self.init(
            kind: Kind(rawValue: String(varlinkName.dropFirst(prefix.count))), message: parameters.message,
            remedy: parameters.remedy, holders: parameters.holders, statusClass: parameters.statusClass,
            statusDetail: parameters.statusDetail, problems: parameters.problems)
    }
}
