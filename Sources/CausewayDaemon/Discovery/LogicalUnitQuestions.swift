import CausewayControl
import CausewayCore
import LinuxSystem

/// Asks a target which logical units it shows, and each of them what it is.
struct LogicalUnitQuestions: ~Copyable {
    private var session: TargetSession
    private let timeouts: DiscoveryTimeouts
    /// When the last answer must be there.
    private let end: Instant

    /// A command is repeated so often before its status counts as the answer: a fresh session may begin
    /// with several unit attentions, one after the other.
    private static let attemptsMax = 40

    /// Why a question has no answer, while the session lives on.
    private struct Refusal: Error {
        var text: String
        var sense: SenseData?
    }

    private enum Failure: Error {
        case session(PortalError)
        case refused(Refusal)
    }

    init(_ session: consuming TargetSession, _ timeouts: DiscoveryTimeouts) {
        self.session = session
        self.timeouts = timeouts
        end = DiscoveryTimeouts.after(timeouts.logicalUnits)
    }

    /// All of it, and the logout. `problem` says why there are no LUNs, or why not all could be asked.
    consuming func ask() -> (luns: [LUNReport], problem: String?) {
        var reports: [LUNReport] = []
        var problem: String?
        do throws(Failure) {
            var dead: PortalError?
            for unit in try reportLUNs() {
                if let dead {
                    reports.append(LUNReport(lun: Self.number(unit), error: "not asked: \(dead.what)"))
                    continue
                }
                do throws(PortalError) {
                    reports.append(try describe(unit))
                } catch {
                    dead = error
                    reports.append(LUNReport(lun: Self.number(unit), error: error.what))
                }
            }
        } catch {
            switch error {
            case .session(let error): problem = "the LUNs cannot be listed: \(error.what)"
            case .refused(let refusal): problem = "the LUNs cannot be listed: \(refusal.text)"
            }
        }
        session.close()
        return (reports, problem)
    }

    /// The number that people write, or the whole address where it is not such a number.
    private static func number(_ unit: LogicalUnitNumber) -> UInt64 {
        unit.number.map(UInt64.init) ?? unit.rawValue
    }

    private mutating func reportLUNs() throws(Failure) -> [LogicalUnitNumber] {
        let list = try whole(
            LogicalUnitNumber(rawValue: 0), first: 8 + 8 * 512, most: 8 + 8 * LogicalUnitNumber.numbers.count,
            { .reportLUNs(allocationLength: UInt32($0)) },
            { (bytes) throws(SCSIDataError) in try unsafe ReportLUNsData(bytes.span.bytes) })
        var known: Set<UInt64> = []
        return list.logicalUnits.filter { known.insert(Self.number($0)).inserted }
    }

    /// Throws only what ends the session.
    private mutating func describe(_ unit: LogicalUnitNumber) throws(PortalError) -> LUNReport {
        var report = LUNReport(lun: Self.number(unit))
        do throws(Failure) {
            let inquiry = try whole(
                unit, first: 96, most: 260, { .inquiry(allocationLength: UInt16($0)) },
                { (bytes) throws(SCSIDataError) in try unsafe InquiryData(bytes.span.bytes) })
            guard inquiry.qualifier == .connected else {
                report.error = "the target lists it and then has no device there"
                return report
            }
            report.vendor = inquiry.vendor.description
            report.model = inquiry.product.description
            report.wwid = try page(.deviceIdentification, of: unit) { bytes throws(SCSIDataError) in
                try unsafe DeviceIdentification(bytes.span.bytes).identity?.wwid
            }
            report.serial = try page(.unitSerialNumber, of: unit) { bytes throws(SCSIDataError) in
                let text = try unsafe UnitSerialNumber(bytes.span.bytes).text
                return text.isEmpty ? nil : text.description
            }
            guard inquiry.isDisk else {
                report.error = "not a disk but a \(inquiry.deviceType)"
                return report
            }
            let capacity = try whole(
                unit, first: 32, most: 32, { .readCapacity16(allocationLength: UInt32($0)) },
                { (bytes) throws(SCSIDataError) in try unsafe LogicalUnitCapacity(bytes.span.bytes) })
            report.sizeBytes = capacity.byteCount
            report.blockLength = capacity.logicalBlockLength
        } catch {
            switch error {
            case .session(let error): throw error
            case .refused(let refusal): report.error = refusal.text
            }
        }
        return report
    }

    /// A page that not every logical unit has; nil where this one does not, or where it holds nothing of
    /// use.
    private mutating func page<Value>(
        _ page: VitalProductDataPage, of unit: LogicalUnitNumber,
        _ parse: ([UInt8]) throws(SCSIDataError) -> Value?
    ) throws(Failure) -> Value? {
        do throws(Failure) {
            return try whole(
                unit, first: 255, most: 65_535, { .inquiry(page: page, allocationLength: UInt16($0)) }, parse)
        } catch {
            guard case .refused = error else { throw error }
            return nil
        }
    }

    /// Asks for data of unknown length: for `first` bytes, and once more, for at most `most`, when they are
    /// longer.
    private mutating func whole<Value>(
        _ unit: LogicalUnitNumber, first: Int, most: Int, _ command: (Int) -> CommandDescriptorBlock,
        _ parse: ([UInt8]) throws(SCSIDataError) -> Value
    ) throws(Failure) -> Value {
        var length = first
        while true {
            let data = try run(command(length), on: unit, length)
            do throws(SCSIDataError) {
                return try parse(data)
            } catch {
                // Asked again only if the target filled what it was given.
                if case .truncated(_, let need, let have) = error, have == length, need > length, need <= most
                {
                    length = need
                    continue
                }
                throw .refused(Refusal(text: "\(error)"))
            }
        }
    }

    /// One command, repeated while its status is a matter of time.
    private mutating func run(
        _ command: CommandDescriptorBlock, on unit: LogicalUnitNumber, _ length: Int
    ) throws(Failure) -> [UInt8] {
        let deadline = DiscoveryTimeouts.after(timeouts.command, notAfter: end)
        var attempts = 0
        while true {
            attempts += 1
            let completion: TargetSession.Completion
            do throws(PortalError) {
                completion = try session.command(
                    lun: unit, command, expectedLength: length, deadline: deadline)
            } catch {
                throw .session(error)
            }
            if completion.status == .good { return completion.data }
            let isLast = attempts == Self.attemptsMax || LinuxSystem.MonotonicClock.now() >= deadline
            switch classify(status: completion.status, sense: completion.sense).errorClass {
            case .good: return completion.data
            case .retry where !isLast: break
            case .retryAfterDelay where !isLast: Pause.milliseconds(100)
            default:
                let words = completion.sense.map { "\($0)" } ?? "\(completion.status)"
                throw .refused(Refusal(text: "\(command.operationName): \(words)", sense: completion.sense))
            }
        }
    }
}
