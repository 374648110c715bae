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
    private var supported: Set<UInt8> = []
    private var inquiry: StandardInquiry?
    private var identity: DeviceIdentification?
    private var serial: String?
    private var capacityData: ReadCapacity16?
    private var pages = LogicalUnitPages()
    private var supportsLBAStatus = false

    private static let attemptsMax = 40

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
        case .supportedPages, .serialNumber, .blockLimits, .characteristics, .provisioning, .caching, .control,
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
        do throws(SCSIDataError) {
            switch question {
            case .standardInquiry:
                let inquiry = try StandardInquiry(data)
                self.inquiry = inquiry
                guard inquiry.isConnected else {
                    return .failed("the target has no such LUN", .noSuchLUN)
                }
                guard inquiry.isDirectAccess else {
                    return .failed("the LUN is not a disk (device type \(inquiry.deviceType))", .noSuchLUN)
                }
            case .supportedPages: supported = Set(try SupportedPages(data).codes)
            case .identification: identity = try DeviceIdentification(data)
            case .serialNumber: serial = try UnitSerialNumber(data).text
            case .capacity: capacityData = try ReadCapacity16(data)
            case .blockLimits: pages.blockLimits = try? BlockLimits(data)
            case .characteristics: pages.characteristics = try? BlockDeviceCharacteristics(data)
            case .provisioning: pages.provisioning = try? LogicalBlockProvisioning(data)
            case .caching: pages.caching = try? ModeParameters(data)
            case .control: pages.control = try? ModeParameters(data)
            case .allocation: supportsLBAStatus = true
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
        case .serialNumber: supported.contains(0x80)
        case .blockLimits: supported.contains(0xb0)
        case .characteristics: supported.contains(0xb1)
        case .provisioning: supported.contains(0xb2)
        case .allocation: capacityData?.isProvisioningManaged ?? false
        default: true
        }
    }

    private func finish() -> Step {
        guard let inquiry, let capacityData else {
            return .failed("the LUN did not say how large it is", .noSuchLUN)
        }
        guard let identity, let best = identity.best else {
            return .failed(
                "the LUN has no identity (VPD page 0x83): paths to it cannot be told apart from paths to another",
                .otherLUN)
        }
        return .done(
            LogicalUnitReport(
                vendor: inquiry.vendor, product: inquiry.product, revision: inquiry.revision, serial: serial ?? "",
                wwid: best.wwid, identity: identity,
                limits: LogicalUnitLimits(capacity: capacityData, pages: pages),
                supportsLBAStatus: supportsLBAStatus))
    }
}

/// What a LUN is and can do, as one path showed it.
public struct LogicalUnitReport: Sendable {
    public var vendor: String
    public var product: String
    public var revision: String
    public var serial: String
    /// `naa.6001405…`, `eui.…`: the best designator of VPD page 0x83.
    public var wwid: String
    public var identity: DeviceIdentification
    public var limits: LogicalUnitLimits
    public var supportsLBAStatus: Bool

    /// Why `other` is not the same LUN, or nil if it is.
    func difference(from other: LogicalUnitReport) -> String? {
        if !identity.identifies(sameLogicalUnitAs: other.identity) { return "\(other.wwid) instead of \(wwid)" }
        if limits.logicalBlockLength != other.limits.logicalBlockLength || limits.sizeBytes != other.limits.sizeBytes {
            return "\(other.limits.sizeBytes) bytes instead of \(limits.sizeBytes)"
        }
        return nil
    }
}
