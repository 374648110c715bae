import Testing

@testable import CausewayCore

@Suite struct CommandDescriptorBlockTests {
    private func bytes(_ command: CommandDescriptorBlock) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: 16)
        bytes.withUnsafeMutableBytes { command.copy(to: $0.baseAddress.unsafelyUnwrapped) }
        return bytes
    }

    @Test func read16() {
        let command = CommandDescriptorBlock.read16(lba: 0x0102_0304_0506_0708, blocks: 0x1112_1314)
        #expect(
            bytes(command) == [
                0x88, 0x00,  // READ(16); RDPROTECT, DPO, FUA clear
                0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,  // LOGICAL BLOCK ADDRESS
                0x11, 0x12, 0x13, 0x14,  // TRANSFER LENGTH
                0x00, 0x00,  // GROUP NUMBER, CONTROL
            ])
        #expect(bytes(.read16(lba: 0, blocks: 1, fua: true))[1] == 0x08)
        #expect(command.operationName == "READ(16)")
    }

    @Test func write16() {
        let command = CommandDescriptorBlock.write16(lba: .max, blocks: .max, fua: true)
        #expect(
            bytes(command) == [0x8a, 0x08] + [UInt8](repeating: 0xff, count: 12)  // address and length
                + [0x00, 0x00])
        #expect(bytes(.write16(lba: .max, blocks: .max))[1] == 0x00)
    }

    @Test func synchronizeCache16() {
        #expect(
            bytes(.synchronizeCache16(lba: 0x1_0000_0002, blocks: 3)) == [
                0x91, 0x00,  // SYNCHRONIZE CACHE(16); IMMED clear
                0, 0, 0, 1, 0, 0, 0, 2,  // LOGICAL BLOCK ADDRESS
                0, 0, 0, 3,  // NUMBER OF LOGICAL BLOCKS
                0, 0,
            ])
        #expect(bytes(.synchronizeCache16()) == [0x91] + [UInt8](repeating: 0, count: 15))
    }

    @Test func unmap() {
        #expect(
            bytes(.unmap(parameterListLength: 0x1234)) == [
                0x42, 0x00, 0, 0, 0, 0,  // UNMAP; ANCHOR clear
                0x00,  // GROUP NUMBER
                0x12, 0x34,  // PARAMETER LIST LENGTH
                0x00, 0, 0, 0, 0, 0, 0,  // CONTROL, padding
            ])
    }

    @Test func writeSame16() {
        #expect(
            bytes(.writeSame16(lba: 9, blocks: 0x0a0b, unmap: true)) == [
                0x93, 0x08,  // WRITE SAME(16), UNMAP
                0, 0, 0, 0, 0, 0, 0, 9,  // LOGICAL BLOCK ADDRESS
                0, 0, 0x0a, 0x0b,  // NUMBER OF LOGICAL BLOCKS
                0, 0,
            ])
        #expect(bytes(.writeSame16(lba: 9, blocks: 1, ndob: true))[1] == 0x01)
        #expect(bytes(.writeSame16(lba: 9, blocks: 1, unmap: true, ndob: true))[1] == 0x09)
        #expect(bytes(.writeSame16(lba: 9, blocks: 1))[1] == 0x00)
    }

    @Test func getLBAStatus() {
        let command = CommandDescriptorBlock.getLBAStatus(lba: 0x10, allocationLength: 0x208)
        #expect(
            bytes(command) == [
                0x9e, 0x12,  // SERVICE ACTION IN(16), GET LBA STATUS
                0, 0, 0, 0, 0, 0, 0, 0x10,  // STARTING LOGICAL BLOCK ADDRESS
                0, 0, 0x02, 0x08,  // ALLOCATION LENGTH
                0, 0,
            ])
        #expect(command.operationName == "GET LBA STATUS")
    }

    @Test func testUnitReadyIsAllZeros() {
        #expect(bytes(.testUnitReady) == [UInt8](repeating: 0, count: 16))
        #expect(CommandDescriptorBlock.testUnitReady.operationName == "TEST UNIT READY")
    }

    @Test func inquiry() {
        #expect(
            bytes(.inquiry(allocationLength: 0x0124)) == [
                0x12, 0x00, 0x00,  // INQUIRY; EVPD clear, PAGE CODE
                0x01, 0x24,  // ALLOCATION LENGTH
                0x00,  // CONTROL
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ])
        #expect(
            bytes(.inquiry(page: .deviceIdentification, allocationLength: 0xff)).prefix(6)
                == [0x12, 0x01, 0x83, 0x00, 0xff, 0x00])
        // Page 00h is a page like any other: EVPD must be set.
        #expect(bytes(.inquiry(page: .supportedPages, allocationLength: 4)).prefix(3) == [0x12, 0x01, 0x00])
    }

    @Test func readCapacity16() {
        #expect(
            bytes(.readCapacity16()) == [
                0x9e, 0x10,  // SERVICE ACTION IN(16), READ CAPACITY(16)
                0, 0, 0, 0, 0, 0, 0, 0,  // obsolete
                0, 0, 0, 32,  // ALLOCATION LENGTH
                0, 0,
            ])
    }

    @Test func modeSense() {
        #expect(
            bytes(.modeSense6(page: .caching, allocationLength: 0xc0)) == [
                0x1a, 0x08, 0x08, 0x00,  // MODE SENSE(6); DBD; PC current, PAGE CODE; SUBPAGE CODE
                0xc0, 0x00,  // ALLOCATION LENGTH, CONTROL
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ])
        #expect(
            bytes(.modeSense10(page: .all, allocationLength: 0x0203)) == [
                0x5a, 0x08, 0x3f, 0x00,  // MODE SENSE(10); DBD; PAGE CODE; SUBPAGE CODE
                0, 0, 0,
                0x02, 0x03, 0x00,  // ALLOCATION LENGTH, CONTROL
                0, 0, 0, 0, 0, 0,
            ])
    }

    @Test func reportLUNs() {
        #expect(
            bytes(.reportLUNs(allocationLength: 0x0102_0304)) == [
                0xa0, 0x00, 0x00, 0, 0, 0,  // REPORT LUNS; SELECT REPORT
                1, 2, 3, 4,  // ALLOCATION LENGTH
                0, 0, 0, 0, 0, 0,
            ])
    }

    @Test func targetPortGroups() {
        #expect(
            bytes(.reportTargetPortGroups(extendedHeader: true, allocationLength: 0x0001_0203)) == [
                0xa3, 0x2a, 0, 0, 0, 0,  // MAINTENANCE IN; PARAMETER DATA FORMAT 001b, SERVICE ACTION
                0x00, 0x01, 0x02, 0x03,  // ALLOCATION LENGTH
                0, 0, 0, 0, 0, 0,
            ])
        #expect(bytes(.reportTargetPortGroups(extendedHeader: false, allocationLength: 8))[1] == 0x0a)
        let set = CommandDescriptorBlock.setTargetPortGroups(parameterListLength: 8)
        #expect(bytes(set).prefix(10) == [0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8])
        #expect(set.operationName == "SET TARGET PORT GROUPS")
    }

    @Test func persistentReserve() {
        #expect(
            bytes(.persistentReserveIn(.readReservation, allocationLength: 0x0102)) == [
                0x5e, 0x01, 0, 0, 0, 0, 0,  // PERSISTENT RESERVE IN; SERVICE ACTION
                0x01, 0x02, 0x00,  // ALLOCATION LENGTH, CONTROL
                0, 0, 0, 0, 0, 0,
            ])
        #expect(
            bytes(.persistentReserveOut(.preemptAndAbort, type: .writeExclusiveRegistrantsOnly)) == [
                0x5f, 0x05,  // PERSISTENT RESERVE OUT; SERVICE ACTION
                0x05, 0, 0,  // SCOPE logical unit, TYPE
                0, 0, 0, 24, 0x00,  // PARAMETER LIST LENGTH, CONTROL
                0, 0, 0, 0, 0, 0,
            ])
    }

    @Test func wordsAreTheBytesInBigEndianOrder() {
        let command = CommandDescriptorBlock.write16(lba: 0x0102_0304_0506_0708, blocks: 9)
        #expect(command.word(0) == 0x8a00_0102)
        #expect(command.word(1) == 0x0304_0506)
        #expect(command.word(2) == 0x0708_0000)
        #expect(command.word(3) == 0x0009_0000)
        #expect((0..<16).map(command.byte) == bytes(command))
        #expect(command.description == "WRITE(16) [8a000102 03040506 07080000 00090000]")
    }
}
