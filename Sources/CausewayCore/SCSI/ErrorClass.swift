/// What the end of a command asks of the one who sent it. Retries and delays are bounded by the caller.
public enum ErrorClass: Equatable, BitwiseCopyable, Sendable {
    /// Done. With CHECK CONDITION and RECOVERED ERROR too.
    case good
    /// Not done, and nothing is wrong with the path: send it again on the same path at once.
    case retry
    /// Not done now: send it again on the same path after a pause. The path stays good.
    case retryAfterDelay
    /// This path does not lead to the data: send it on another.
    case pathError(PathErrorCause)
    /// The same on every path: goes back to whoever asked, and no path fails.
    case deviceError
    /// The thin pool is full (7/27/07). Never a path error; what to do is the disk's `space` setting.
    case spaceExhausted
    /// Another host holds a reservation. Never a path error, never retried by itself.
    case reservationConflict
}

/// Why a path does not lead to the data.
public enum PathErrorCause: Equatable, BitwiseCopyable, Sendable {
    /// The target port is in the standby, unavailable or offline access state, or a transition failed: usable
    /// again once REPORT TARGET PORT GROUPS says so.
    case accessState
    /// No such logical unit behind this path, or one that has failed for good. On all paths: permanent device
    /// loss.
    case logicalUnitGone
    /// Not ready for a reason that waiting does not mend; another controller may be.
    case notReady
}

/// What a target said besides: things to read again or to note, whatever becomes of the command. A set, so
/// that notices can be gathered until there is time to act on them.
public struct TargetNotices: OptionSet, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt16
    @inline(__always) public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Read the capacity again (6/2A/09, 6/28/00, and 5/21/00, which a shrunken LUN answers).
    public static let capacityChanged = Self(rawValue: 1 << 0)
    /// Read the mode pages again (6/2A/01): the write cache may be on now, or the LUN write-protected.
    public static let modePagesChanged = Self(rawValue: 1 << 1)
    /// Read INQUIRY and the identity again before any further write (6/3F/03, 6/3F/05, 6/29/00, 6/29/01, new
    /// microcode, new medium).
    public static let inquiryChanged = Self(rawValue: 1 << 2)
    /// Send REPORT LUNS again (6/3F/0E).
    public static let lunListChanged = Self(rawValue: 1 << 3)
    /// Send REPORT TARGET PORT GROUPS again (6/2A/06, 6/2A/07, and 04/0A, 0B, 0C, 12).
    public static let accessStateChanged = Self(rawValue: 1 << 4)
    /// The pool behind a thin LUN is filling up (6/38/07): an alarm.
    public static let thinThresholdReached = Self(rawValue: 1 << 5)
    /// The tasks of this nexus or logical unit were cleared by a reset (6/29/xx).
    public static let reset = Self(rawValue: 1 << 6)
    /// The target started anew, and a volatile write cache is gone (6/29/01 and 6/29/04; not 29/00, which
    /// targets also send to every new session).
    public static let restarted = Self(rawValue: 1 << 7)
    /// The target saw our session end (6/29/07).
    public static let nexusLost = Self(rawValue: 1 << 8)
    /// Another host took the reservation (6/2A/03).
    public static let reservationsPreempted = Self(rawValue: 1 << 9)
    /// A reservation was released (6/2A/04).
    public static let reservationsReleased = Self(rawValue: 1 << 10)
    /// Another host removed our registration (6/2A/05): never register again without an administrator.
    public static let registrationsPreempted = Self(rawValue: 1 << 11)
    /// An earlier command, already answered GOOD, has failed (sense data 71h and 73h): acknowledged data may
    /// be lost.
    public static let deferredError = Self(rawValue: 1 << 12)
}

/// The class of a command's end and what it tells besides.
public struct ErrorClassification: Equatable, BitwiseCopyable, Sendable {
    public var errorClass: ErrorClass
    public var notices: TargetNotices

    @inline(__always)
    public init(_ errorClass: ErrorClass, _ notices: TargetNotices) {
        self.errorClass = errorClass
        self.notices = notices
    }

    /// Without notices. An option set literal as a default argument would bring an array and its metadata
    /// into the lane.
    @inline(__always)
    public init(_ errorClass: ErrorClass) {
        self.init(errorClass, TargetNotices(rawValue: 0))
    }
}

/// The one table of error classes: what to do about a status and its sense data. Codes without a row are
/// decided by their sense key. `sense` is nil for CHECK CONDITION without (legible) sense data.
public func classify(status: SCSIStatus, sense: SenseData?) -> ErrorClassification {
    switch status {
    case .good, .conditionMet: ErrorClassification(.good)
    case .busy, .taskSetFull, .acaActive: ErrorClassification(.retryAfterDelay)
    case .reservationConflict: ErrorClassification(.reservationConflict)
    // Another initiator reset the unit or aborted the task.
    case .taskAborted: ErrorClassification(.retry)
    case .checkCondition:
        // Nothing is known of the command; a bounded retry finds out.
        if let sense { classify(sense) } else { ErrorClassification(.retry) }
    // Reserved or obsolete: whether the command was carried out is unknown.
    default: ErrorClassification(.retry)
    }
}

private func classify(_ sense: SenseData) -> ErrorClassification {
    if sense.isDeferred {
        // SPC-4 §4.5.7: the command that carries a deferred error was not carried out.
        return ErrorClassification(.retry, .deferredError)
    }
    switch sense.key {
    case .recoveredError, .completed: return ErrorClassification(.good)
    case .noSense: return ErrorClassification(.retry)
    case .notReady: return classifyNotReady(sense.additional)
    case .hardwareError: return classifyHardwareError(sense.additional)
    case .illegalRequest: return classifyIllegalRequest(sense.additional)
    case .unitAttention: return classifyUnitAttention(sense.additional)
    case .dataProtect:
        return ErrorClassification(
            sense.additional == .spaceAllocationFailed ? .spaceExhausted : .deviceError)
    case .abortedCommand: return classifyAbortedCommand(sense.additional)
    // Medium error, blank check, vendor specific, copy aborted, volume overflow, miscompare and reserved
    // keys.
    default: return ErrorClassification(.deviceError)
    }
}

private func classifyNotReady(_ additional: AdditionalSense) -> ErrorClassification {
    switch additional {
    case .accessStateTransition:
        ErrorClassification(.retryAfterDelay, .accessStateChanged)
    case .targetPortStandby, .targetPortUnavailable, .offline:
        ErrorClassification(.pathError(.accessState), .accessStateChanged)
    case .becomingReady, .formatInProgress, .rebuildInProgress, .recalculationInProgress,
        .operationInProgress, .longWriteInProgress, .selfTestInProgress, .spaceAllocationInProgress,
        .startStopInProgress, .sanitizeInProgress, .configurationInProgress, .notYetSelfConfigured:
        ErrorClassification(.retryAfterDelay)
    case .logicalUnitFailure, .logicalUnitFailedSelfTest, .failedSelfConfiguration:
        ErrorClassification(.pathError(.logicalUnitGone))
    // 3A/xx, MEDIUM NOT PRESENT: the unit has no backing, whatever the path.
    case _ where additional.code == 0x3a: ErrorClassification(.deviceError)
    default: ErrorClassification(.pathError(.notReady))
    }
}

private func classifyHardwareError(_ additional: AdditionalSense) -> ErrorClassification {
    switch additional {
    // The codes that vSphere, too, takes for the loss of the device behind this path.
    case .logicalUnitFailure, .logicalUnitFailedSelfTest, .failedSelfConfiguration:
        ErrorClassification(.pathError(.logicalUnitGone))
    // 08/xx: this controller does not reach the logical unit; another may.
    case _ where additional.code == 0x08: ErrorClassification(.pathError(.notReady))
    default: ErrorClassification(.deviceError)
    }
}

private func classifyIllegalRequest(_ additional: AdditionalSense) -> ErrorClassification {
    switch additional {
    case .logicalUnitNotSupported: ErrorClassification(.pathError(.logicalUnitGone), .lunListChanged)
    case .lbaOutOfRange: ErrorClassification(.deviceError, .capacityChanged)
    default: ErrorClassification(.deviceError)
    }
}

private func classifyUnitAttention(_ additional: AdditionalSense) -> ErrorClassification {
    switch additional {
    case .accessStateTransition: ErrorClassification(.retryAfterDelay, .accessStateChanged)
    case .mediumMayHaveChanged: ErrorClassification(.retry, .capacityChanged.union(.inquiryChanged))
    // Of a LUN made anew in place of another this may be the only word.
    case .resetOccurred: ErrorClassification(.retry, .reset.union(.inquiryChanged))
    case .powerOnOccurred:
        ErrorClassification(.retry, .reset.union(.restarted).union(.inquiryChanged))
    case .deviceInternalReset: ErrorClassification(.retry, .reset.union(.restarted))
    case .nexusLossOccurred: ErrorClassification(.retry, .reset.union(.nexusLost))
    case _ where additional.code == 0x29: ErrorClassification(.retry, .reset)
    case .parametersChanged, .modeParametersChanged: ErrorClassification(.retry, .modePagesChanged)
    case .reservationsPreempted: ErrorClassification(.retry, .reservationsPreempted)
    case .reservationsReleased: ErrorClassification(.retry, .reservationsReleased)
    case .registrationsPreempted: ErrorClassification(.retry, .registrationsPreempted)
    case .accessStateChanged: ErrorClassification(.retry, .accessStateChanged)
    case .implicitTransitionFailed: ErrorClassification(.pathError(.accessState), .accessStateChanged)
    case .capacityChanged: ErrorClassification(.retry, .capacityChanged)
    case .thinProvisioningThreshold: ErrorClassification(.retry, .thinThresholdReached)
    case .targetConditionsChanged, .microcodeChanged, .operatingDefinitionChanged:
        ErrorClassification(.retry, .inquiryChanged.union(.modePagesChanged))
    case .inquiryDataChanged, .deviceIdentifierChanged: ErrorClassification(.retry, .inquiryChanged)
    case .reportedLUNsChanged: ErrorClassification(.retry, .lunListChanged)
    default: ErrorClassification(.retry)
    }
}

private func classifyAbortedCommand(_ additional: AdditionalSense) -> ErrorClassification {
    switch additional {
    // 10/xx: the protection information does not match, and would not match again.
    case _ where additional.code == 0x10: ErrorClassification(.deviceError)
    case .accessStateTransition: ErrorClassification(.retryAfterDelay, .accessStateChanged)
    default: ErrorClassification(.retry)
    }
}
