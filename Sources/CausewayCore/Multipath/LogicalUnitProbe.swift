/// Asks a LUN who it is and what it can do, one command after the other, before a path may carry I/O to it.
struct LogicalUnitProbe {
    enum Step {
        case next
        /// The same command once more, after so many milliseconds.
        case again(UInt64)
        case done(LogicalUnitReport)
        case failed(String, PathProblem.Kind)
    }

    private enum Question: Int {
        case standardInquiry, supportedPages, identification, serialNumber, capacity
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

    private let maxTransferBytes: UInt32

    private static let attemptsMax = 40

    init(maxTransferBytes: UInt32) {
        self.maxTransferBytes = maxTransferBytes
    }

    var command: CommandDescriptorBlock {
        switch question {
        case .standardInquiry: .inquiry(allocationLength: 96)
        case .supportedPages: .inquiry(page: .supportedPages, allocationLength: 255)
        case .identification: .inquiry(page: .deviceIdentification, allocationLength: 2048)
        case .serialNumber: .inquiry(page: .unitSerialNumber, allocationLength: 255)
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
        switch verdict.errorClass {
        case .retry where attempts < Self.attemptsMax: return .again(0)
        case .retryAfterDelay where attempts < Self.attemptsMax: return .again(100)
        default: break
        }
        if let sense, sense.additional == .logicalUnitNotSupported {
            return .failed("the target has no such LUN (\(sense))", .noSuchLUN)
        }
        switch question {
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

    /// Keeps an answer. Returns why the LUN does not do, if it does not.
    private mutating func take(_ data: [UInt8]) -> Step? {
        let bytes = unsafe data.span.bytes
        do throws(SCSIDataError) {
            switch question {
            case .standardInquiry:
                let inquiry = try InquiryData(bytes)
                self.inquiry = inquiry
                guard inquiry.qualifier == .connected else {
                    return .failed("the target has no such LUN", .noSuchLUN)
                }
                guard inquiry.isDisk else {
                    return .failed("the LUN is not a disk but a \(inquiry.deviceType)", .noSuchLUN)
                }
            case .supportedPages: supported = try? SupportedVitalProductDataPages(bytes)
            case .identification: identification = try DeviceIdentification(bytes)
            case .serialNumber: serial = (try? UnitSerialNumber(bytes))?.text
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
        case .blockLimits: supported?.contains(.blockLimits) ?? false
        case .characteristics: supported?.contains(.blockDeviceCharacteristics) ?? false
        case .provisioning: supported?.contains(.logicalBlockProvisioning) ?? false
        case .allocation: size?.isThinlyProvisioned ?? false
        default: true
        }
    }

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
                supportsLBAStatus: supportsLBAStatus))
    }
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

    /// Why `other` is not the same LUN, or nil if it is.
    func difference(from other: LogicalUnitReport) -> String? {
        if !identification.identifies(sameLogicalUnitAs: other.identification) {
            return "\(other.identity) instead of \(identity)"
        }
        if limits.logicalBlockLength != other.limits.logicalBlockLength
            || other.limits.blockCount < limits.blockCount
        {
            return "\(other.limits.byteCount) bytes instead of \(limits.byteCount)"
        }
        return nil
    }
}
