import CausewayConfiguration
import CausewayControl
import CausewayCore

/// What is fed with arbitrary bytes: everything that reads what a target, an NBD client or a person has
/// written. Whatever comes, the answer is a value or an error; a trap, a leak or an endless loop is a bug.
public enum FuzzTarget: String, CaseIterable, Sendable {
    /// PDUs of the full-feature phase and NBD requests, to a lane that has a disk; see `LaneFuzz`.
    case lane
    /// The same with digests, and with two paths.
    case laneDigests = "lane-digests"
    case lanePaths = "lane-paths"
    /// Text keys (RFC 7143 §6.1).
    case text
    /// Login Responses, one after the other.
    case login
    /// The same where both sides have to prove who they are.
    case loginCHAP = "login-chap"
    /// The same for a connection that joins a session.
    case loginJoin = "login-join"
    /// Login and Text Responses of a discovery session.
    case discovery
    /// What an NBD client says before transmission.
    case haggling = "nbd-handshake"
    /// Sense data, INQUIRY and VPD pages, mode pages and parameter data.
    case scsi
    /// `causeway.toml` and the files of disks.
    case configuration

    public func run(_ bytes: UnsafeRawBufferPointer) {
        switch self {
        case .lane: unsafe LaneFuzz.run(bytes)
        case .laneDigests: unsafe LaneFuzz.run(bytes, hasDigests: true)
        case .lanePaths: unsafe LaneFuzz.run(bytes, pathCount: 2)
        case .text: unsafe Self.runText(bytes)
        case .login: unsafe Self.runLogin(bytes)
        case .loginCHAP: unsafe LoginFuzz.runCHAP(bytes)
        case .loginJoin: unsafe LoginFuzz.runJoin(bytes)
        case .discovery: unsafe Self.runDiscovery(bytes)
        case .haggling: unsafe Self.runHaggling(bytes)
        case .scsi: unsafe Self.runSCSI(bytes)
        case .configuration: unsafe Self.runConfiguration(bytes)
        }
    }

    // MARK: iSCSI

    private static func runText(_ bytes: UnsafeRawBufferPointer) {
        let text = unsafe Array(bytes)
        guard let pairs = try? TextSegment.parse(text) else { return }
        // What was understood can be said again, and means the same.
        let again = try? TextSegment.parse(TextSegment.build(pairs))
        precondition(again == pairs, "text changes when it is written and read again")
        _ = try? SendTargetsResponse(text)
    }

    static func options() -> LoginOptions? {
        guard let initiator = try? ISCSIName("iqn.2026-01.example:i"),
            let target = try? ISCSIName("iqn.2026-01.example:t")
        else { return nil }
        return LoginOptions(
            initiatorName: initiator, targetName: target, isid: InitiatorSessionID(hash: 7))
    }

    /// A byte that says what to keep of an honest response, then its fields and its text.
    static func responses(
        _ bytes: UnsafeRawBufferPointer, tsih: UInt64 = 1,
        _ take: (BasicHeaderSegment, UnsafeRawBufferPointer) -> Bool
    ) {
        var at = 0
        var statSN: UInt32 = 1
        while at + 4 <= bytes.count {
            let (how, flags, first, count) = unsafe (
                bytes[at], bytes[at + 1], bytes[at + 2], Int(bytes[at + 3])
            )
            at += 4
            var header = BasicHeaderSegment(opcode: how & 1 == 0 ? .loginResponse : .textResponse)
            if how & 2 != 0 { header = BasicHeaderSegment(opcode: Opcode(rawValue: first & 0x3f)) }
            header[byte: 1] = flags
            header.lun = InitiatorSessionID(hash: 7).value << 16 | (how & 4 != 0 ? tsih : 0)
            header[6] = how & 8 != 0 ? UInt32(first) : statSN
            statSN &+= 1
            if how & 16 != 0 { header[9] = UInt32(first) << 16 }
            if how & 32 != 0 { header[4] = 1 }
            header[5] = how & 64 != 0 ? UInt32(first) : reservedTag
            header[7] = 1
            header[8] = 1
            let length = min(how & 128 != 0 ? count * 40 : count, bytes.count - at)
            header.dataSegmentLength = length
            let data = unsafe UnsafeRawBufferPointer(rebasing: bytes[at..<at + length])
            at += length
            guard unsafe take(header, data) else { return }
        }
    }

    private static func runLogin(_ bytes: UnsafeRawBufferPointer) {
        guard let options = options() else { return }
        _ = unsafe LoginFuzz.run(bytes, options)
    }

    private static func runDiscovery(_ bytes: UnsafeRawBufferPointer) {
        guard let options = options() else { return }
        var machine = DiscoverySession(options)
        _ = machine.start()
        unsafe responses(bytes) { header, data in
            if case .send = unsafe machine.received(header, data: data) { return true }
            return false
        }
    }

    // MARK: NBD

    private static func runHaggling(_ bytes: UnsafeRawBufferPointer) {
        guard
            let export = try? ExportDescription(
                name: "disk", description: "d", sizeBytes: 1 << 20, transmissionFlags: .hasFlags,
                minimumBlockSize: 512, baseAllocation: true)
        else { return }
        var whole = ExportNegotiation(export: export)
        var rest = unsafe bytes[...]
        var output = 0
        while true {
            let step = unsafe whole.received(UnsafeRawBufferPointer(rebasing: rest))
            unsafe rest = rest.dropFirst(step.consumed)
            output += step.output.count
            guard case .needMore = step.state, step.consumed > 0, unsafe !rest.isEmpty else { break }
        }
        // Byte by byte it comes to the same.
        var slow = ExportNegotiation(export: export)
        var slowOutput = 0
        for index in bytes.indices {
            let step = unsafe slow.received(UnsafeRawBufferPointer(rebasing: bytes[index..<index + 1]))
            slowOutput += step.output.count
            guard case .needMore = step.state else { break }
        }
        precondition(output == slowOutput, "the same words in pieces mean something else")
    }

    // MARK: SCSI

    private static func runSCSI(_ bytes: UnsafeRawBufferPointer) {
        guard let kind = unsafe bytes.first else { return }
        let data = unsafe Array(bytes.dropFirst())
        let span = unsafe data.span.bytes
        switch kind % 11 {
        case 0:
            if let sense = SenseData(span) {
                _ = "\(sense) \(classify(status: .checkCondition, sense: sense))"
            }
        case 1:
            if let data = try? InquiryData(span) { _ = "\(data.vendor) \(data.product) \(data.revision)" }
        case 2: _ = try? SupportedVitalProductDataPages(span)
        case 3: _ = (try? UnitSerialNumber(span))?.text.description
        case 4:
            guard let page = try? DeviceIdentification(span) else { return }
            for identity in page.identities { _ = identity.wwid + (identity.multipathWWID ?? "") }
            precondition(page.identities.isEmpty || page.identifies(sameLogicalUnitAs: page))
        case 5:
            guard let limits = try? BlockLimits(span), let capacity = try? LogicalUnitCapacity(span) else {
                return
            }
            let unit = LogicalUnitLimits(capacity: capacity, blockLimits: limits, maxTransferBytes: 1 << 20)
            precondition(unit.maxTransferBlocks >= 1)
            _ = unit.unmap?.wholeGranules(in: 0..<UInt64.max)
        case 6: _ = try? BlockDeviceCharacteristics(span)
        case 7: _ = try? LogicalBlockProvisioning(span)
        case 8: _ = (try? ModeParameters(modeSense6: span), try? ModeParameters(modeSense10: span))
        case 9:
            for run in (try? LBAStatusData(span))?.descriptors ?? [] { _ = run.lba }
        default:
            _ = (try? ReportLUNsData(span))?.logicalUnits.map(\.description)
            _ = try? TargetPortGroups(span)
        }
    }

    // MARK: Configuration

    private static func runConfiguration(_ bytes: UnsafeRawBufferPointer) {
        let text = unsafe String(decoding: bytes, as: UTF8.self)
        var problems: [ConfigurationProblem] = []
        _ = AdapterConfiguration(text, file: "f", problems: &problems)
        if let name = try? DiskName("d") {
            _ = DiskConfiguration(text, name: name, file: "f", problems: &problems)
        }
        for problem in problems { _ = "\(problem)" }
    }
}
