import Testing

@testable import CausewayCore

@Suite struct TargetTextTests {
    @Test func paddingIsTrimmedAndOnlyPadding() {
        #expect(TargetText(Array("  VIRTUAL  DISK \0".utf8)).description == "VIRTUAL  DISK")
        #expect(TargetText([0x20, 0x00, 0x20]).isEmpty)
        #expect(TargetText([]).description == "")
    }

    @Test func everythingButPrintableASCIIIsEscaped() {
        // ESC [2J would clear a terminal.
        #expect(
            TargetText([0x41, 0x1b, 0x5b, 0x32, 0x4a, 0x7f, 0x0a, 0xc3]).description
                == #"A\x1B[2J\x7F\x0A\xC3"#)
        // A backslash is escaped too, or `\x41` could be either.
        #expect(TargetText(Array(#"\x41"#.utf8)).description == #"\x5Cx41"#)
    }
}

@Suite struct LogicalUnitNumberTests {
    @Test func bothAddressingMethods() {
        #expect(LogicalUnitNumber(0)?.rawValue == 0)
        // Peripheral device addressing: byte 1.
        #expect(LogicalUnitNumber(255)?.rawValue == 0x00ff_0000_0000_0000)
        // Flat space addressing: 01b and fourteen bits.
        #expect(LogicalUnitNumber(256)?.rawValue == 0x4100_0000_0000_0000)
        #expect(LogicalUnitNumber(16383)?.rawValue == 0x7fff_0000_0000_0000)
        #expect(LogicalUnitNumber(16384) == nil)
        #expect(LogicalUnitNumber(-1) == nil)
        for number in LogicalUnitNumber.numbers {
            if LogicalUnitNumber(number)?.number != number { Issue.record("LUN \(number)") }
        }
    }

    @Test func aTargetMayReportSmallNumbersInFlatSpace() {
        #expect(LogicalUnitNumber(rawValue: 0x4001_0000_0000_0000).number == 1)
    }

    @Test func otherAddressesHaveNoNumber() {
        // Bus 1; the well known logical unit REPORT LUNS; two levels.
        for raw: UInt64 in [0x0101_0000_0000_0000, 0xc101_0000_0000_0000, 0x0001_0002_0000_0000] {
            #expect(LogicalUnitNumber(rawValue: raw).number == nil)
        }
        #expect(LogicalUnitNumber(rawValue: 0xc101_0000_0000_0000).description == "0xc101000000000000")
        #expect(LogicalUnitNumber(7)?.description == "7")
    }
}

@Suite struct ReportLUNsDataTests {
    static let bytes: [UInt8] = [
        0x00, 0x00, 0x00, 0x10,  // LUN LIST LENGTH
        0, 0, 0, 0,
        0x00, 0x01, 0, 0, 0, 0, 0, 0,  // LUN 1, peripheral device addressing
        0x41, 0x00, 0, 0, 0, 0, 0, 0,  // LUN 256, flat space addressing
    ]

    @Test func list() throws {
        #expect(try parsed(Self.bytes, by: ReportLUNsData.init).logicalUnits.map(\.number) == [1, 256])
    }

    @Test func aLongerListSaysHowMuchToAskFor() {
        #expect(throws: SCSIDataError.truncated(.reportLUNs, need: 24, have: 16)) {
            try parsed(Array(Self.bytes.prefix(16)), by: ReportLUNsData.init)
        }
    }
}

@Suite struct InquiryDataTests {
    static let bytes: [UInt8] =
        [
            0x00,  // qualifier connected, type direct access
            0x80,  // RMB
            0x06,  // VERSION: SPC-4
            0x12,  // HISUP, RESPONSE DATA FORMAT
            0x1f,  // ADDITIONAL LENGTH: 36 bytes in all
            0x31,  // TPGS implicit and explicit, PROTECT
            0x00,
            0x02,  // CMDQUE
        ] + Array("LIO-ORG ".utf8)  // T10 VENDOR IDENTIFICATION
        + Array("disk0           ".utf8)  // PRODUCT IDENTIFICATION
        + Array("4.0 ".utf8)  // PRODUCT REVISION LEVEL

    @Test func everyField() throws {
        let data = try parsed(Self.bytes, by: InquiryData.init)
        #expect(data.isDisk)
        #expect(data.isRemovable)
        #expect(data.version == 6)
        #expect(data.targetPortGroupSupport == [.implicit, .explicit])
        #expect(data.supportsProtectionInformation)
        #expect(data.supportsCommandQueuing)
        #expect(data.vendor.description == "LIO-ORG")
        #expect(data.product.description == "disk0")
        #expect(data.revision.description == "4.0")
    }

    @Test func targetPortGroupSupportIsTwoBits() throws {
        for (byte5, expected) in [
            (0x00, []), (0x10, .implicit), (0x20, .explicit), (0xcf, []),
        ] as [(UInt8, TargetPortGroupSupport)] {
            var bytes = Self.bytes
            bytes[5] = byte5
            #expect(try parsed(bytes, by: InquiryData.init).targetPortGroupSupport == expected)
        }
    }

    @Test func absentUnitAndController() throws {
        var bytes = Self.bytes
        bytes[0] = 0x7f  // qualifier 011b, type 1Fh: no such logical unit
        let absent = try parsed(bytes, by: InquiryData.init)
        #expect(absent.qualifier == .notSupported)
        #expect(absent.deviceType == .unknown)
        #expect(!absent.isDisk)
        bytes[0] = 0x0c
        #expect(try parsed(bytes, by: InquiryData.init).deviceType == .storageArrayController)
    }

    @Test func additionalLengthEndsTheData() throws {
        var bytes = Self.bytes
        bytes[4] = 11  // ends behind the vendor
        let data = try parsed(bytes, by: InquiryData.init)
        #expect(data.vendor.description == "LIO-ORG")
        #expect(data.product.isEmpty)
    }
}

@Suite struct LogicalUnitCapacityTests {
    static let bytes: [UInt8] =
        [
            0x00, 0x00, 0x00, 0x00, 0x00, 0x1f, 0xff, 0xff,  // RETURNED LOGICAL BLOCK ADDRESS
            0x00, 0x00, 0x02, 0x00,  // LOGICAL BLOCK LENGTH IN BYTES
            0x05,  // P_TYPE 010b, PROT_EN
            0x13,  // P_I_EXPONENT 1, LBPPBE 3
            0xc0, 0x07,  // LBPME, LBPRZ, LOWEST ALIGNED LOGICAL BLOCK ADDRESS
        ] + [UInt8](repeating: 0, count: 16)

    private func capacity(lastLBA: UInt64, blockLength: UInt32) throws(SCSIDataError) -> LogicalUnitCapacity {
        var bytes = Self.bytes
        for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: lastLBA >> UInt64(56 - 8 * index)) }
        for index in 0..<4 {
            bytes[8 + index] = UInt8(truncatingIfNeeded: blockLength >> UInt32(24 - 8 * index))
        }
        return try parsed(bytes, by: LogicalUnitCapacity.init)
    }

    @Test func everyField() throws {
        let data = try parsed(Self.bytes, by: LogicalUnitCapacity.init)
        #expect(data.blockCount == 0x20_0000)
        #expect(data.logicalBlockLength == 512)
        #expect(data.byteCount == 1 << 30)
        #expect(data.protectionType == 3)
        #expect(data.logicalBlocksPerPhysicalBlockExponent == 3)
        #expect(data.isThinlyProvisioned)
        #expect(data.readsZerosAfterUnmap)
        #expect(data.lowestAlignedLBA == 7)
        var bytes = Self.bytes
        bytes[12] = 0x04  // P_TYPE without PROT_EN
        #expect(try parsed(bytes, by: LogicalUnitCapacity.init).protectionType == nil)
    }

    @Test(arguments: [UInt32(0), 1, 256, 511, 520, 4160, 1 << 17, 1 << 31, .max])
    func unusableBlockLength(length: UInt32) {
        #expect(
            throws: SCSIDataError.unusable(
                .readCapacity, field: "logical block length", value: UInt64(length))
        ) { try capacity(lastLBA: 0, blockLength: length) }
    }

    @Test func theLargestSizes() throws {
        // 2^63 - 512 bytes fit a signed offset; 2^63 do not, and all ones would wrap to zero blocks.
        let largest = try capacity(lastLBA: (1 << 54) - 2, blockLength: 512)
        #expect(largest.byteCount == UInt64(Int64.max) - 511)
        for lastLBA: UInt64 in [(1 << 54) - 1, .max] {
            #expect(throws: SCSIDataError.self) { try capacity(lastLBA: lastLBA, blockLength: 512) }
        }
        #expect(try capacity(lastLBA: 0, blockLength: 65536).byteCount == 65536)
    }
}

@Suite struct LBAStatusDataTests {
    static let bytes: [UInt8] = [
        0x00, 0x00, 0x00, 0x24,  // PARAMETER DATA LENGTH, counted from byte 4
        0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0x10, 0x00,  // LOGICAL BLOCK ADDRESS
        0x00, 0x00, 0x08, 0x00,  // NUMBER OF LOGICAL BLOCKS
        0x01, 0, 0, 0,  // PROVISIONING STATUS: deallocated
        0, 0, 0, 0, 0, 0, 0x18, 0x00,
        0xff, 0xff, 0xff, 0xff,
        0x00, 0, 0, 0,  // mapped
    ]

    @Test func descriptors() throws {
        #expect(
            try parsed(Self.bytes, by: LBAStatusData.init).descriptors == [
                LBAStatusDescriptor(lba: 0x1000, blocks: 0x800, status: .deallocated),
                LBAStatusDescriptor(lba: 0x1800, blocks: .max, status: .mapped),
            ])
    }

    @Test func onlyWholeDescriptorsCount() throws {
        #expect(try parsed(Array(Self.bytes.prefix(39)), by: LBAStatusData.init).descriptors.count == 1)
    }

    @Test func emptyAndOverflowingRunsAreRefused() {
        var bytes = Self.bytes
        bytes.replaceSubrange(16..<20, with: [0, 0, 0, 0])
        #expect(throws: SCSIDataError.malformed(.lbaStatus, offset: 8)) {
            try parsed(bytes, by: LBAStatusData.init)
        }
        bytes = Self.bytes
        bytes.replaceSubrange(24..<32, with: [UInt8](repeating: 0xff, count: 8))
        #expect(throws: SCSIDataError.malformed(.lbaStatus, offset: 24)) {
            try parsed(bytes, by: LBAStatusData.init)
        }
    }
}

@Suite struct UnmapParameterListTests {
    @Test func twoDescriptors() {
        var bytes = [UInt8](repeating: 0xee, count: 40)
        let length = bytes.withUnsafeMutableBytes { buffer in
            var list = UnmapParameterList(in: buffer)
            var added = [list.append(lba: 0x0102_0304_0506_0708, blocks: 0x1112_1314)]
            added.append(list.append(lba: 1, blocks: 2))
            added.append(list.append(lba: 3, blocks: 4))
            #expect(added == [true, true, false])
            return list.finish()
        }
        #expect(length == 40)
        #expect(
            bytes == [
                0x00, 0x26,  // UNMAP DATA LENGTH
                0x00, 0x20,  // UNMAP BLOCK DESCRIPTOR DATA LENGTH
                0, 0, 0, 0,
                1, 2, 3, 4, 5, 6, 7, 8,  // UNMAP LOGICAL BLOCK ADDRESS
                0x11, 0x12, 0x13, 0x14, 0, 0, 0, 0,  // NUMBER OF LOGICAL BLOCKS
                0, 0, 0, 0, 0, 0, 0, 1,
                0, 0, 0, 2, 0, 0, 0, 0,
            ])
    }

    @Test func buffersOfEverySize() {
        for size in 0...60 {
            var bytes = [UInt8](repeating: 0, count: size)
            bytes.withUnsafeMutableBytes { buffer in
                var list = UnmapParameterList(in: buffer)
                while list.append(lba: 0, blocks: 1) {}
                #expect(list.descriptorCount == max(0, size - 8) / 16)
                #expect(Int(list.finish()) == (size < 8 ? 0 : 8 + 16 * list.descriptorCount))
            }
        }
    }

    @Test func lengthFieldsNeverOverflow() {
        var bytes = [UInt8](repeating: 0, count: 1 << 17)
        bytes.withUnsafeMutableBytes { buffer in
            var list = UnmapParameterList(in: buffer)
            while list.append(lba: 0, blocks: 1) {}
            #expect(list.descriptorCount == 4095)
            #expect(list.finish() == 65528)
        }
    }
}
