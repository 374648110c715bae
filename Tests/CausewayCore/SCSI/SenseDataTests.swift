import Testing

@testable import CausewayCore

@Suite struct SenseDataTests {
    private func sense(_ bytes: [UInt8]) -> SenseData? { parsed(bytes) { SenseData($0) } }

    static let fixed: [UInt8] = [
        0xf0,  // VALID, response code 70h: current, fixed
        0x00,
        0x03,  // SENSE KEY: MEDIUM ERROR
        0x00, 0x00, 0x12, 0x34,  // INFORMATION: the block in error
        0x0a,  // ADDITIONAL SENSE LENGTH
        0, 0, 0, 0,  // COMMAND-SPECIFIC INFORMATION
        0x11, 0x00,  // ASC, ASCQ: UNRECOVERED READ ERROR
        0x00,  // FIELD REPLACEABLE UNIT CODE
        0, 0, 0,  // SENSE KEY SPECIFIC
    ]

    static let descriptor: [UInt8] = [
        0x72,  // response code: current, descriptor
        0x0b,  // SENSE KEY: ABORTED COMMAND
        0x10, 0x01,  // ASC, ASCQ: LOGICAL BLOCK GUARD CHECK FAILED
        0, 0, 0,
        0x14,  // ADDITIONAL SENSE LENGTH
        0x02, 0x06, 0, 0, 0, 0, 0, 0,  // sense key specific descriptor
        0x00, 0x0a, 0x80, 0x00,  // information descriptor; VALID
        0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02,  // INFORMATION
    ]

    @Test func fixedFormat() {
        #expect(
            sense(Self.fixed) == SenseData(.mediumError, .unrecoveredReadError, information: 0x1234))
        #expect(
            sense(Self.fixed)?.description
                == "MEDIUM ERROR 3/11/00: Unrecovered read error (information 4660)")
    }

    @Test func fixedFormatWithoutValidInformation() {
        var bytes = Self.fixed
        bytes[0] = 0x70
        #expect(sense(bytes)?.information == nil)
    }

    @Test func deferredFormats() {
        #expect(sense([0x71, 0, 0x03] + [UInt8](repeating: 0, count: 15))?.isDeferred == true)
        #expect(sense([0x73, 0x03, 0x0c, 0x00, 0, 0, 0, 0])?.isDeferred == true)
        #expect(
            sense([0x73, 0x03, 0x0c, 0x00, 0, 0, 0, 0])?.description
                == "deferred error, MEDIUM ERROR 3/0c/00: Write error")
    }

    @Test func descriptorFormat() {
        #expect(
            sense(Self.descriptor)
                == SenseData(.abortedCommand, .guardCheckFailed, information: 0x1_0000_0002))
        // Byte 18, VALID of the information descriptor, clear.
        var bytes = Self.descriptor
        bytes[18] = 0
        #expect(sense(bytes)?.information == nil)
    }

    @Test func noLegibleSense() {
        #expect(sense([]) == nil)
        #expect(sense([0x70]) == nil)
        #expect(sense([0x70, 0x00]) == nil)
        #expect(sense([0x72]) == nil)
        // 7Fh is the vendor's own format; 00h no sense data at all.
        #expect(sense([UInt8](repeating: 0x7f, count: 18)) == nil)
        #expect(sense([UInt8](repeating: 0, count: 18)) == nil)
    }

    @Test func shortSenseKeepsWhatCame() {
        #expect(sense([0x70, 0, 0x06]) == SenseData(.unitAttention, .none))
        #expect(sense([0x72, 0x06]) == SenseData(.unitAttention, .none))
        // ADDITIONAL SENSE LENGTH 4 ends before ASC: what stands there belongs to something else.
        var bytes = Self.fixed
        bytes[7] = 4
        #expect(sense(bytes)?.additional == AdditionalSense.none)
        // Length 6 ends right behind ASCQ.
        bytes[7] = 6
        #expect(sense(bytes)?.additional == .unrecoveredReadError)
    }

    @Test func unknownCodesStayPrintable() {
        let unknown = SenseData(.illegalRequest, AdditionalSense(0x99, 0xab))
        #expect(unknown.description == "ILLEGAL REQUEST 5/99/ab")
        #expect(unknown.additional.description == "ASC 99h, ASCQ abh")
        #expect(SenseKey(rawValue: 0x0c).description == "sense key ch")
        #expect(
            AdditionalSense.accessStateTransition.description
                == "Logical unit not ready, asymmetric access state transition")
        #expect(SCSIStatus(rawValue: 0x77).description == "status 77h")
        #expect(SCSIStatus.taskSetFull.description == "TASK SET FULL")
    }
}
