import Testing

@testable import CausewayCore

@Suite struct VitalProductDataTests {
    static let supportedPages: [UInt8] = [
        0x00, 0x00,  // direct access; PAGE CODE
        0x00, 0x04,  // PAGE LENGTH
        0x00, 0x80, 0x83, 0xb0,  // supported pages
    ]

    static let serialNumber: [UInt8] =
        [
            0x00, 0x80,  // direct access; PAGE CODE
            0x00, 0x0a,  // PAGE LENGTH
        ] + Array("  beaf1100".utf8)  // PRODUCT SERIAL NUMBER

    static let blockLimits: [UInt8] =
        [
            0x00, 0xb0,  // direct access; PAGE CODE
            0x00, 0x3c,  // PAGE LENGTH
            0x01,  // WSNZ
            0x80,  // MAXIMUM COMPARE AND WRITE LENGTH
            0x00, 0x08,  // OPTIMAL TRANSFER LENGTH GRANULARITY
            0x00, 0x00, 0x40, 0x00,  // MAXIMUM TRANSFER LENGTH
            0x00, 0x00, 0x10, 0x00,  // OPTIMAL TRANSFER LENGTH
            0x00, 0x00, 0x00, 0x00,  // MAXIMUM PREFETCH LENGTH
            0x00, 0x00, 0x20, 0x00,  // MAXIMUM UNMAP LBA COUNT
            0x00, 0x00, 0x00, 0x01,  // MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT
            0x00, 0x00, 0x00, 0x20,  // OPTIMAL UNMAP GRANULARITY
            0x80, 0x00, 0x00, 0x05,  // UGAVALID, UNMAP GRANULARITY ALIGNMENT
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00,  // MAXIMUM WRITE SAME LENGTH
        ] + [UInt8](repeating: 0, count: 20)  // atomic lengths

    static let characteristics: [UInt8] =
        [
            0x00, 0xb1,  // direct access; PAGE CODE
            0x00, 0x3c,  // PAGE LENGTH
            0x1c, 0x20,  // MEDIUM ROTATION RATE: 7200
        ] + [UInt8](repeating: 0, count: 58)

    static let provisioning: [UInt8] = [
        0x00, 0xb2,  // direct access; PAGE CODE
        0x00, 0x04,  // PAGE LENGTH
        0x00,  // THRESHOLD EXPONENT
        0xe6,  // LBPU, LBPWS, LBPWS10, LBPRZ 001b, ANC_SUP
        0x02,  // PROVISIONING TYPE: thin
        0x00,
    ]

    @Test func supportedPagesList() throws {
        let pages = try parsed(Self.supportedPages, by: SupportedVitalProductDataPages.init)
        #expect(pages.pages.map(\.rawValue) == [0x00, 0x80, 0x83, 0xb0])
        #expect(pages.contains(.blockLimits))
        #expect(!pages.contains(.logicalBlockProvisioning))
    }

    @Test func serialNumberIsTrimmed() throws {
        #expect(try parsed(Self.serialNumber, by: UnitSerialNumber.init).text.description == "beaf1100")
    }

    @Test func anotherPageIsRefused() {
        #expect(throws: SCSIDataError.wrongPage(asked: 0xb0, found: 0x80)) {
            try parsed(Self.serialNumber, by: BlockLimits.init)
        }
        #expect(
            SCSIDataError.wrongPage(asked: 0xb0, found: 0x80).description
                == "the target sent vital product data page 80h when asked for b0h")
    }

    @Test func blockLimitsFields() throws {
        let page = try parsed(Self.blockLimits, by: BlockLimits.init)
        #expect(page.writeSameNonZero)
        #expect(page.maximumCompareAndWriteLength == 128)
        #expect(page.optimalTransferLengthGranularity == 8)
        #expect(page.maximumTransferLength == 16384)
        #expect(page.optimalTransferLength == 4096)
        #expect(page.maximumUnmapLBACount == 8192)
        #expect(page.maximumUnmapDescriptorCount == 1)
        #expect(page.optimalUnmapGranularity == 32)
        #expect(page.unmapGranularityAlignment == 5)
        #expect(page.maximumWriteSameLength == 4096)
        var bytes = Self.blockLimits
        bytes[32] = 0
        #expect(try parsed(bytes, by: BlockLimits.init).unmapGranularityAlignment == nil)
    }

    @Test func aShortPageGivesNoLimits() throws {
        // SBC-2 ended behind OPTIMAL TRANSFER LENGTH; what follows in the buffer is not of the page.
        var bytes = Self.blockLimits
        bytes[3] = 0x0c
        let page = try parsed(bytes, by: BlockLimits.init)
        #expect(page.optimalTransferLength == 4096)
        #expect(page.maximumUnmapLBACount == 0)
        #expect(page.maximumWriteSameLength == 0)
    }

    @Test func rotationRates() throws {
        #expect(
            try parsed(Self.characteristics, by: BlockDeviceCharacteristics.init).rotationRate.rpm == 7200)
        for (rate, rpm) in [
            (0, nil), (1, nil), (0x0400, nil), (0x0401, 1025), (0xfffe, 65534), (0xffff, nil),
        ]
            as [(UInt16, Int?)]
        {
            #expect(BlockDeviceCharacteristics.RotationRate(rawValue: rate).rpm == rpm)
        }
    }

    @Test func provisioningFields() throws {
        let page = try parsed(Self.provisioning, by: LogicalBlockProvisioning.init)
        #expect(page.supportsUnmap)
        #expect(page.supportsWriteSame16Unmap)
        #expect(page.supportsWriteSame10Unmap)
        #expect(page.lbprz == 1)
        #expect(page.supportsAnchor)
        #expect(page.type == .thin)
        var bytes = Self.provisioning
        bytes[5] = 0x08  // LBPRZ 010b alone
        let pattern = try parsed(bytes, by: LogicalBlockProvisioning.init)
        #expect(pattern.lbprz == 2)
        #expect(!pattern.supportsUnmap)
    }
}
