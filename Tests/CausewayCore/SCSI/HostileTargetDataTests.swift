import Testing

@testable import CausewayCore

/// Bytes from a target may be anything. Every parser answers every one of them with a value or a typed error;
/// a read beyond the end or an overflow would trap and end the test run.
@Suite struct HostileTargetDataTests {
    struct Parser: Sendable, CustomStringConvertible {
        let description: String
        /// A well-formed answer.
        let sample: [UInt8]
        let parse: @Sendable ([UInt8]) throws(SCSIDataError) -> Void
    }

    static let parsers: [Parser] = [
        Parser(description: "fixed sense", sample: SenseDataTests.fixed) { bytes throws(SCSIDataError) in
            _ = parsed(bytes, by: { SenseData($0) }).map { _ = $0.description }
        },
        Parser(description: "descriptor sense", sample: SenseDataTests.descriptor) {
            bytes throws(SCSIDataError) in
            _ = parsed(bytes, by: { SenseData($0) }).map { _ = classify(status: .checkCondition, sense: $0) }
        },
        Parser(description: "standard INQUIRY", sample: InquiryDataTests.bytes) {
            bytes throws(SCSIDataError) in
            let data = try parsed(bytes, by: InquiryData.init)
            _ = data.vendor.description + data.product.description + data.revision.description
        },
        Parser(description: "VPD 00h", sample: VitalProductDataTests.supportedPages) {
            bytes throws(SCSIDataError) in _ = try parsed(bytes, by: SupportedVitalProductDataPages.init)
        },
        Parser(description: "VPD 80h", sample: VitalProductDataTests.serialNumber) {
            bytes throws(SCSIDataError) in _ = try parsed(bytes, by: UnitSerialNumber.init).text.description
        },
        Parser(description: "VPD 83h", sample: DeviceIdentificationTests.page) {
            bytes throws(SCSIDataError) in
            let page = try parsed(bytes, by: DeviceIdentification.init)
            for identity in page.identities { _ = identity.wwid + (identity.multipathWWID ?? "") }
            _ = (page.relativeTargetPort, page.targetPortGroup, page.identifies(sameLogicalUnitAs: page))
        },
        Parser(description: "VPD B0h", sample: VitalProductDataTests.blockLimits) {
            bytes throws(SCSIDataError) in
            let page = try parsed(bytes, by: BlockLimits.init)
            let capacity = try parsed(LogicalUnitCapacityTests.bytes, by: LogicalUnitCapacity.init)
            let limits = LogicalUnitLimits(capacity: capacity, blockLimits: page, maxTransferBytes: 1 << 20)
            _ = limits.unmap?.wholeGranules(in: 1..<UInt64.max)
            #expect(limits.maxTransferBlocks >= 1)
        },
        Parser(description: "VPD B1h", sample: VitalProductDataTests.characteristics) {
            bytes throws(SCSIDataError) in _ = try parsed(bytes, by: BlockDeviceCharacteristics.init)
        },
        Parser(description: "VPD B2h", sample: VitalProductDataTests.provisioning) {
            bytes throws(SCSIDataError) in _ = try parsed(bytes, by: LogicalBlockProvisioning.init)
        },
        Parser(description: "READ CAPACITY(16)", sample: LogicalUnitCapacityTests.bytes) {
            bytes throws(SCSIDataError) in
            let capacity = try parsed(bytes, by: LogicalUnitCapacity.init)
            #expect(capacity.byteCount <= UInt64(Int64.max))
            _ = LogicalUnitLimits(capacity: capacity, maxTransferBytes: 1 << 20).byteCount
        },
        Parser(description: "MODE SENSE(6)", sample: ModeParametersTests.sense6) {
            bytes throws(SCSIDataError) in _ = try parsed(bytes, by: ModeParameters.init(modeSense6:))
        },
        Parser(description: "MODE SENSE(10)", sample: ModeParametersTests.sense10) {
            bytes throws(SCSIDataError) in _ = try parsed(bytes, by: ModeParameters.init(modeSense10:))
        },
        Parser(description: "REPORT LUNS", sample: ReportLUNsDataTests.bytes) { bytes throws(SCSIDataError) in
            for unit in try parsed(bytes, by: ReportLUNsData.init).logicalUnits { _ = unit.description }
        },
        Parser(description: "GET LBA STATUS", sample: LBAStatusDataTests.bytes) {
            bytes throws(SCSIDataError) in
            for run in try parsed(bytes, by: LBAStatusData.init).descriptors {
                _ = run.lba + UInt64(run.blocks)
            }
        },
        Parser(description: "target port groups", sample: TargetPortGroupsTests.normal) {
            bytes throws(SCSIDataError) in _ = try parsed(bytes, by: TargetPortGroups.init)[0]
        },
        Parser(description: "target port groups, extended", sample: TargetPortGroupsTests.extended) {
            bytes throws(SCSIDataError) in _ = try parsed(bytes, by: TargetPortGroups.init)[0]
        },
    ]

    /// True where the parser took the bytes. A refusal must say something, and `truncated` must ask for more
    /// than came.
    private func takes(_ parser: Parser, _ bytes: [UInt8]) -> Bool {
        do {
            try parser.parse(bytes)
            return true
        } catch {
            if case .truncated(_, let need, let have) = error {
                if have != bytes.count || need <= have { Issue.record("\(parser): \(error)") }
            }
            if error.description.isEmpty { Issue.record("\(parser): no words") }
            return false
        }
    }

    @Test(arguments: parsers)
    func wholeSampleIsTaken(parser: Parser) {
        #expect(takes(parser, parser.sample))
        // A longer buffer than the data makes no difference.
        #expect(takes(parser, parser.sample + [UInt8](repeating: 0xff, count: 64)))
    }

    @Test(arguments: parsers)
    func everyTruncation(parser: Parser) {
        for length in 0..<parser.sample.count { _ = takes(parser, Array(parser.sample.prefix(length))) }
    }

    @Test(arguments: parsers)
    func everyByteSetToTheExtremes(parser: Parser) {
        for index in parser.sample.indices {
            for value: UInt8 in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                var bytes = parser.sample
                bytes[index] = value
                _ = takes(parser, bytes)
            }
        }
    }

    @Test(arguments: parsers)
    func randomBytes(parser: Parser) {
        var random = SplitMix64(state: UInt64(parser.sample.count) &* 0x9e37)
        for _ in 0..<2000 {
            // Half of the inputs are noise, half a sample with some bytes replaced, which gets deeper.
            var bytes = parser.sample
            if random.next() & 1 == 0 {
                bytes = (0..<Int(random.next() % 300)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            } else {
                for _ in 0...random.next() % 6 {
                    bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
                }
                bytes.removeLast(Int(random.next() % 4))
            }
            _ = takes(parser, bytes)
        }
    }

    /// Repeatable randomness: the same inputs on every run and machine.
    private struct SplitMix64 {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }
}
