/// The pair ASC/ASCQ that says why a command ended as it did (SPC-4 §4.5.2.1), an open set. The constants are
/// those that ``classify(status:sense:)`` treats by name or that an administrator is likely to meet.
public struct AdditionalSense: Hashable, BitwiseCopyable, Sendable {
    /// ADDITIONAL SENSE CODE.
    public var code: UInt8
    /// ADDITIONAL SENSE CODE QUALIFIER.
    public var qualifier: UInt8

    @inline(__always)
    public init(_ code: UInt8, _ qualifier: UInt8) {
        self.code = code
        self.qualifier = qualifier
    }

    public static let none = AdditionalSense(0x00, 0x00)

    // 04h: the logical unit is not ready.
    public static let notReadyCauseNotReportable = AdditionalSense(0x04, 0x00)
    public static let becomingReady = AdditionalSense(0x04, 0x01)
    public static let initializingCommandRequired = AdditionalSense(0x04, 0x02)
    public static let manualInterventionRequired = AdditionalSense(0x04, 0x03)
    public static let formatInProgress = AdditionalSense(0x04, 0x04)
    public static let rebuildInProgress = AdditionalSense(0x04, 0x05)
    public static let recalculationInProgress = AdditionalSense(0x04, 0x06)
    public static let operationInProgress = AdditionalSense(0x04, 0x07)
    public static let longWriteInProgress = AdditionalSense(0x04, 0x08)
    public static let selfTestInProgress = AdditionalSense(0x04, 0x09)
    public static let accessStateTransition = AdditionalSense(0x04, 0x0a)
    public static let targetPortStandby = AdditionalSense(0x04, 0x0b)
    public static let targetPortUnavailable = AdditionalSense(0x04, 0x0c)
    public static let offline = AdditionalSense(0x04, 0x12)
    public static let spaceAllocationInProgress = AdditionalSense(0x04, 0x14)
    public static let startStopInProgress = AdditionalSense(0x04, 0x1a)
    public static let sanitizeInProgress = AdditionalSense(0x04, 0x1b)
    public static let configurationInProgress = AdditionalSense(0x04, 0x1d)

    // Errors of the medium and of the transfer.
    public static let communicationFailure = AdditionalSense(0x08, 0x00)
    public static let writeError = AdditionalSense(0x0c, 0x00)
    public static let guardCheckFailed = AdditionalSense(0x10, 0x01)
    public static let applicationTagCheckFailed = AdditionalSense(0x10, 0x02)
    public static let referenceTagCheckFailed = AdditionalSense(0x10, 0x03)
    public static let unrecoveredReadError = AdditionalSense(0x11, 0x00)
    public static let miscompareDuringVerify = AdditionalSense(0x1d, 0x00)

    // Requests that the logical unit does not take.
    public static let invalidOperationCode = AdditionalSense(0x20, 0x00)
    public static let lbaOutOfRange = AdditionalSense(0x21, 0x00)
    public static let invalidFieldInCDB = AdditionalSense(0x24, 0x00)
    public static let logicalUnitNotSupported = AdditionalSense(0x25, 0x00)
    public static let invalidFieldInParameterList = AdditionalSense(0x26, 0x00)
    public static let invalidReleaseOfReservation = AdditionalSense(0x26, 0x04)
    public static let writeProtected = AdditionalSense(0x27, 0x00)
    public static let spaceAllocationFailed = AdditionalSense(0x27, 0x07)

    // 28h to 2Fh, 38h, 3Fh: what has changed.
    public static let mediumMayHaveChanged = AdditionalSense(0x28, 0x00)
    public static let resetOccurred = AdditionalSense(0x29, 0x00)
    public static let powerOnOccurred = AdditionalSense(0x29, 0x01)
    public static let busResetOccurred = AdditionalSense(0x29, 0x02)
    public static let deviceResetOccurred = AdditionalSense(0x29, 0x03)
    public static let deviceInternalReset = AdditionalSense(0x29, 0x04)
    public static let nexusLossOccurred = AdditionalSense(0x29, 0x07)
    public static let parametersChanged = AdditionalSense(0x2a, 0x00)
    public static let modeParametersChanged = AdditionalSense(0x2a, 0x01)
    public static let reservationsPreempted = AdditionalSense(0x2a, 0x03)
    public static let reservationsReleased = AdditionalSense(0x2a, 0x04)
    public static let registrationsPreempted = AdditionalSense(0x2a, 0x05)
    public static let accessStateChanged = AdditionalSense(0x2a, 0x06)
    public static let implicitTransitionFailed = AdditionalSense(0x2a, 0x07)
    public static let capacityChanged = AdditionalSense(0x2a, 0x09)
    public static let commandsClearedByAnotherInitiator = AdditionalSense(0x2f, 0x00)
    public static let thinProvisioningThreshold = AdditionalSense(0x38, 0x07)
    public static let targetConditionsChanged = AdditionalSense(0x3f, 0x00)
    public static let microcodeChanged = AdditionalSense(0x3f, 0x01)
    public static let operatingDefinitionChanged = AdditionalSense(0x3f, 0x02)
    public static let inquiryDataChanged = AdditionalSense(0x3f, 0x03)
    public static let deviceIdentifierChanged = AdditionalSense(0x3f, 0x05)
    public static let reportedLUNsChanged = AdditionalSense(0x3f, 0x0e)

    // The logical unit or the target itself.
    public static let mediumNotPresent = AdditionalSense(0x3a, 0x00)
    public static let notYetSelfConfigured = AdditionalSense(0x3e, 0x00)
    public static let logicalUnitFailure = AdditionalSense(0x3e, 0x01)
    public static let logicalUnitFailedSelfTest = AdditionalSense(0x3e, 0x03)
    public static let internalTargetFailure = AdditionalSense(0x44, 0x00)
    public static let failedSelfConfiguration = AdditionalSense(0x4c, 0x00)
    public static let insufficientResources = AdditionalSense(0x55, 0x03)
    public static let insufficientRegistrationResources = AdditionalSense(0x55, 0x04)
}

extension AdditionalSense: CustomStringConvertible {
    /// The meaning in words where it is known, the two codes otherwise.
    public var description: String {
        words ?? "ASC \(code.hexadecimalDigits)h, ASCQ \(qualifier.hexadecimalDigits)h"
    }

    /// What the pair means, nil for one without a name here.
    public var words: String? {
        switch code {
        case 0x00...0x04: notReadyWords
        case 0x05...0x27: requestWords
        case 0x28...0x2f, 0x38, 0x3f: changeWords
        default: unitWords
        }
    }

    private var notReadyWords: String? {
        switch self {
        case .none: "No additional sense information"
        case .notReadyCauseNotReportable: "Logical unit not ready, cause not reportable"
        case .becomingReady: "Logical unit is becoming ready"
        case .initializingCommandRequired: "Logical unit not ready, initializing command required"
        case .manualInterventionRequired: "Logical unit not ready, manual intervention required"
        case .formatInProgress: "Logical unit not ready, format in progress"
        case .rebuildInProgress: "Logical unit not ready, rebuild in progress"
        case .recalculationInProgress: "Logical unit not ready, recalculation in progress"
        case .operationInProgress: "Logical unit not ready, operation in progress"
        case .longWriteInProgress: "Logical unit not ready, long write in progress"
        case .selfTestInProgress: "Logical unit not ready, self-test in progress"
        case .accessStateTransition: "Logical unit not ready, asymmetric access state transition"
        case .targetPortStandby: "Logical unit not ready, target port in standby state"
        case .targetPortUnavailable: "Logical unit not ready, target port in unavailable state"
        case .offline: "Logical unit not ready, offline"
        case .spaceAllocationInProgress: "Logical unit not ready, space allocation in progress"
        case .startStopInProgress: "Logical unit not ready, start or stop in progress"
        case .sanitizeInProgress: "Logical unit not ready, sanitize in progress"
        case .configurationInProgress: "Logical unit not ready, configuration in progress"
        default: nil
        }
    }

    private var requestWords: String? {
        switch self {
        case .communicationFailure: "Logical unit communication failure"
        case .writeError: "Write error"
        case .guardCheckFailed: "Protection information: guard check failed"
        case .applicationTagCheckFailed: "Protection information: application tag check failed"
        case .referenceTagCheckFailed: "Protection information: reference tag check failed"
        case .unrecoveredReadError: "Unrecovered read error"
        case .miscompareDuringVerify: "Miscompare during verify"
        case .invalidOperationCode: "Command not supported (invalid operation code)"
        case .lbaOutOfRange: "Logical block address out of range"
        case .invalidFieldInCDB: "Invalid field in the command (CDB)"
        case .logicalUnitNotSupported: "Logical unit not supported (no such LUN)"
        case .invalidFieldInParameterList: "Invalid field in the parameter list"
        case .invalidReleaseOfReservation: "Invalid release of a persistent reservation"
        case .writeProtected: "Write protected"
        case .spaceAllocationFailed: "Space allocation failed, the thin pool is full (write protected)"
        default: nil
        }
    }

    private var changeWords: String? {
        switch self {
        case .mediumMayHaveChanged: "Became ready, the medium may have changed"
        case .resetOccurred: "Power on, reset or device reset occurred"
        case .powerOnOccurred: "Power on occurred"
        case .busResetOccurred: "Bus reset occurred"
        case .deviceResetOccurred: "Logical unit or target reset occurred"
        case .deviceInternalReset: "Device internal reset"
        case .nexusLossOccurred: "I_T nexus loss occurred"
        case .parametersChanged: "Parameters changed"
        case .modeParametersChanged: "Mode parameters changed"
        case .reservationsPreempted: "Reservations preempted"
        case .reservationsReleased: "Reservations released"
        case .registrationsPreempted: "Registrations preempted"
        case .accessStateChanged: "Asymmetric access state changed"
        case .implicitTransitionFailed: "Implicit asymmetric access state transition failed"
        case .capacityChanged: "Capacity has changed"
        case .commandsClearedByAnotherInitiator: "Commands cleared by another initiator"
        case .thinProvisioningThreshold: "Thin provisioning soft threshold reached"
        case .targetConditionsChanged: "Target operating conditions have changed"
        case .microcodeChanged: "Microcode has been changed"
        case .operatingDefinitionChanged: "Operating definition changed"
        case .inquiryDataChanged: "INQUIRY data has changed"
        case .deviceIdentifierChanged: "Device identifier changed"
        case .reportedLUNsChanged: "REPORT LUNS data has changed"
        default: nil
        }
    }

    private var unitWords: String? {
        switch self {
        case .mediumNotPresent: "Medium not present"
        case .notYetSelfConfigured: "Logical unit has not self-configured yet"
        case .logicalUnitFailure: "Logical unit failure"
        case .logicalUnitFailedSelfTest: "Logical unit failed self-test"
        case .internalTargetFailure: "Internal target failure"
        case .failedSelfConfiguration: "Logical unit failed self-configuration"
        case .insufficientResources: "Insufficient resources"
        case .insufficientRegistrationResources: "Insufficient registration resources"
        default: nil
        }
    }
}
