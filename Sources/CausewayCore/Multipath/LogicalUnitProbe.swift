/// Asks a LUN who it is and what it can do, one command after the other, before a path may carry I/O to it.
struct LogicalUnitProbe {
    enum Step {
        case next
        /// The same command once more, after so many milliseconds.
        case again(UInt64)
        case done(LogicalUnitReport)
        /// The target port is in an access state in which the LUN answers no more than who it is.
        case inaccessible(IdentifiedUnit, SenseData)
        case failed(String, PathProblem.Kind)
    }

    private enum Question: Int {
        case standardInquiry, supportedPages, identification, serialNumber
        case accessGroups, accessGroupsWithoutExtension, capacity
        case blockLimits, characteristics, provisioning, caching, control, allocation
    }

    /// The lane's task that carries the present question.
    var task: Int32 = -1
    private var question = Question.standardInquiry
    private var attempts = 0
    private var supported: SupportedVitalProductDataPages?
    private var inquiry: InquiryData?
    private var identification: DeviceIdentification?
    private var serial: TargetText?
    private var size: LogicalUnitCapacity?
    private var blockLimits: BlockLimits?
    private var characteristics: BlockDeviceCharacteristics?
    private var provisioning: LogicalBlockProvisioning?
    private var mode: ModeParameters?
    private var supportsLBAStatus = false
    private var accessGroups: TargetPortGroups?

    private let maxTransferBytes: UInt32

    private static let attemptsMax = 40
    private static let reportBytes: UInt32 = 4096

    init(maxTransferBytes: UInt32) {
        self.maxTransferBytes = maxTransferBytes
    }

    var command: CommandDescriptorBlock {
        switch question {
        case .standardInquiry: .inquiry(allocationLength: 96)
        case .supportedPages: .inquiry(page: .supportedPages, allocationLength: 255)
        case .identification: .inquiry(page: .deviceIdentification, allocationLength: 2048)
        case .serialNumber: .inquiry(page: .unitSerialNumber, allocationLength: 255)
        case .accessGroups:
            .reportTargetPortGroups(extendedHeader: true, allocationLength: Self.reportBytes)
        case .accessGroupsWithoutExtension:
            .reportTargetPortGroups(extendedHeader: false, allocationLength: Self.reportBytes)
        case .capacity: .readCapacity16()
        case .blockLimits: .inquiry(page: .blockLimits, allocationLength: 64)
        case .characteristics: .inquiry(page: .blockDeviceCharacteristics, allocationLength: 64)
        case .provisioning: .inquiry(page: .logicalBlockProvisioning, allocationLength: 64)
        case .caching: .modeSense6(page: .caching)
        case .control: .modeSense6(page: .control)
        case .allocation: .getLBAStatus(lba: 0, allocationLength: 24)
        }
    }

    var allocationLength: Int {
        switch question {
        case .standardInquiry: 96
        case .supportedPages, .serialNumber, .caching, .control: 255
        case .identification: 2048
        case .accessGroups, .accessGroupsWithoutExtension: Int(Self.reportBytes)
        case .capacity: 32
        case .blockLimits, .characteristics, .provisioning: 64
        case .allocation: 24
        }
    }

    mutating func answered(status: SCSIStatus, sense: SenseData?, data: [UInt8]) -> Step {
        attempts += 1
        if status == .good {
            if let failure = take(data) { return failure }
            return goOn()
        }
        let verdict = classify(status: status, sense: sense)
        if let sense, verdict.notices.contains(.accessStateChanged), sense.key != .unitAttention,
            let step = refused(sense)
        {
            return step
        }
        switch verdict.errorClass {
        case .retry where attempts < Self.attemptsMax: return .again(0)
        case .retryAfterDelay where attempts < Self.attemptsMax: return .again(100)
        default: break
        }
        if let sense, sense.additional == .logicalUnitNotSupported {
            return .failed("the target has no such LUN (\(sense))", .lunGone)
        }
        if let sense, verdict.errorClass == .pathError(.logicalUnitGone) {
            return .failed("the LUN has failed for good (\(sense))", .lunGone)
        }
        switch question {
        case .accessGroups, .accessGroupsWithoutExtension: return goOn()
        case .supportedPages, .serialNumber, .blockLimits, .characteristics, .provisioning, .caching,
            .control,
            .allocation:
            // A page that is not there is a target of few words; the defaults are safe.
            return goOn()
        case .standardInquiry, .identification, .capacity:
            let words = sense.map { "\($0)" } ?? "\(status)"
            return .failed("the LUN cannot be asked who it is: \(words)", .noSuchLUN)
        }
    }

    /// A question that the target port's access state forbids.
    private func refused(_ sense: SenseData) -> Step? {
        switch question {
        // Allowed in every state (SPC-4 §5.15.2.5).
        case .standardInquiry, .supportedPages, .identification, .serialNumber: return nil
        // Told by the states that are known by now, or not worth a path.
        case .accessGroups, .accessGroupsWithoutExtension, .allocation: return nil
        case .capacity, .blockLimits, .characteristics, .provisioning, .caching, .control:
            guard let inquiry, let identification else { return nil }
            return .inaccessible(
                IdentifiedUnit(
                    inquiry: inquiry, serial: serial, identification: identification,
                    accessGroups: accessGroups),
                sense)
        }
    }

    /// Keeps an answer. Returns why the LUN does not do, if it does not.
    private mutating func take(_ data: [UInt8]) -> Step? {
        let bytes = unsafe data.span.bytes
        do throws(SCSIDataError) {
            switch question {
            case .standardInquiry:
                let inquiry = try InquiryData(bytes)
                self.inquiry = inquiry
                guard inquiry.qualifier == .connected else {
                    // For a LUN that does not exist INQUIRY takes the place of 5/25/00 (SPC-4 §6.6.2).
                    return .failed(
                        "the target has no such LUN",
                        inquiry.qualifier == .notSupported ? .lunGone : .noSuchLUN)
                }
                guard inquiry.isDisk else {
                    return .failed("the LUN is not a disk but a \(inquiry.deviceType)", .noSuchLUN)
                }
            case .supportedPages: supported = try? SupportedVitalProductDataPages(bytes)
            case .identification: identification = try DeviceIdentification(bytes)
            case .serialNumber: serial = (try? UnitSerialNumber(bytes))?.text
            case .accessGroups, .accessGroupsWithoutExtension: accessGroups = try? TargetPortGroups(bytes)
            case .capacity: size = try LogicalUnitCapacity(bytes)
            case .blockLimits: blockLimits = try? BlockLimits(bytes)
            case .characteristics: characteristics = try? BlockDeviceCharacteristics(bytes)
            case .provisioning: provisioning = try? LogicalBlockProvisioning(bytes)
            case .caching, .control:
                if let page = try? ModeParameters(modeSense6: bytes) { mode = mode?.merging(page) ?? page }
            case .allocation: supportsLBAStatus = (try? LBAStatusData(bytes)) != nil
            }
            return nil
        } catch {
            return .failed("the target answered nonsense: \(error)", .protocolViolation)
        }
    }

    private mutating func goOn() -> Step {
        attempts = 0
        var next = question.rawValue + 1
        while let candidate = Question(rawValue: next) {
            if isWorthAsking(candidate) {
                question = candidate
                return .next
            }
            next += 1
        }
        return finish()
    }

    private func isWorthAsking(_ question: Question) -> Bool {
        switch question {
        case .serialNumber: supported?.contains(.unitSerialNumber) ?? false
        case .accessGroups: managesAccess
        case .accessGroupsWithoutExtension: managesAccess && accessGroups == nil
        case .blockLimits: supported?.contains(.blockLimits) ?? false
        case .characteristics: supported?.contains(.blockDeviceCharacteristics) ?? false
        case .provisioning: supported?.contains(.logicalBlockProvisioning) ?? false
        case .allocation: size?.isThinlyProvisioned ?? false
        default: true
        }
    }

    private var managesAccess: Bool { inquiry.map { !$0.targetPortGroupSupport.isEmpty } ?? false }

    private func finish() -> Step {
        guard let inquiry, let size else {
            return .failed("the LUN did not say how large it is", .noSuchLUN)
        }
        guard let identification, let identity = identification.identity else {
            return .failed(
                "the LUN has no identity (VPD page 0x83): nothing tells a path to it from a path to another",
                .otherLUN)
        }
        return .done(
            LogicalUnitReport(
                inquiry: inquiry, serial: serial, identity: identity, identification: identification,
                limits: LogicalUnitLimits(
                    capacity: size, blockLimits: blockLimits, characteristics: characteristics,
                    provisioning: provisioning, mode: mode, maxTransferBytes: maxTransferBytes),
                supportsLBAStatus: supportsLBAStatus, accessGroups: accessGroups))
    }
}

/// Who a LUN is, without what it can do.
struct IdentifiedUnit {
    var inquiry: InquiryData
    var serial: TargetText?
    var identification: DeviceIdentification
    var accessGroups: TargetPortGroups?
}

/// What a LUN is and can do, as one path showed it.
public struct LogicalUnitReport: Sendable {
    public var inquiry: InquiryData
    public var serial: TargetText?
    /// The best designator of VPD page 0x83.
    public var identity: LogicalUnitIdentity
    public var identification: DeviceIdentification
    public var limits: LogicalUnitLimits
    public var supportsLBAStatus: Bool

    /// The states of its target port groups; nil unless it manages asymmetric access and says so.
    public var accessGroups: TargetPortGroups?

    var identified: IdentifiedUnit {
        IdentifiedUnit(
            inquiry: inquiry, serial: serial, identification: identification, accessGroups: accessGroups)
    }

    /// Why `other` is not the same LUN, or nil if it is. How large it is does not matter: that may change.
    func difference(from other: IdentifiedUnit) -> String? {
        if !identification.identifies(sameLogicalUnitAs: other.identification) {
            let identity = other.identification.identity.map { "\($0)" } ?? "a LUN without identity"
            return "\(identity) instead of \(self.identity)"
        }
        return nil
    }
}
