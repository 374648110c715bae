import Testing

@testable import CausewayCore

@Suite struct ModeParametersTests {
    static let caching: [UInt8] =
        [
            0x88, 0x12,  // PS, PAGE CODE; PAGE LENGTH
            0x05,  // WCE, RCD
        ] + [UInt8](repeating: 0, count: 17)

    static let control: [UInt8] = [
        0x0a, 0x0a,  // PAGE CODE; PAGE LENGTH
        0x22,  // TST 001b, D_SENSE off
        0x10,  // QUEUE ALGORITHM MODIFIER
        0x08,  // SWP
        0x40,  // TAS
        0, 0, 0, 0, 0, 0,
    ]

    static let sense6: [UInt8] =
        [
            0x23,  // MODE DATA LENGTH: 36 bytes in all
            0x00,  // MEDIUM TYPE
            0x90,  // WP, DPOFUA
            0x00,  // BLOCK DESCRIPTOR LENGTH
        ] + caching + control

    static let sense10: [UInt8] =
        [
            0x00, 0x34,  // MODE DATA LENGTH: 54 bytes in all
            0x00,  // MEDIUM TYPE
            0x10,  // DPOFUA
            0x00, 0x00,
            0x00, 0x08,  // BLOCK DESCRIPTOR LENGTH
            0x88, 0x12, 0x04, 0x00, 0, 0, 0x02, 0x00,  // a block descriptor that looks like a page
            0x4a, 0x01, 0x00, 0x02, 0xff, 0xff,  // SPF: subpage 01h of the control page, two bytes
        ] + caching + control

    @Test func modeSense6() throws {
        let mode = try parsed(Self.sense6, by: ModeParameters.init(modeSense6:))
        #expect(mode.isWriteProtected)
        #expect(mode.supportsFUA)
        #expect(mode.writeCacheEnabled == true)
        #expect(mode.readCacheDisabled == true)
        #expect(mode.taskSetType == .perNexus)
        #expect(mode.softwareWriteProtect == true)
    }

    @Test func modeSense10SkipsBlockDescriptorsAndSubpages() throws {
        let mode = try parsed(Self.sense10, by: ModeParameters.init(modeSense10:))
        #expect(!mode.isWriteProtected)
        #expect(mode.supportsFUA)
        #expect(mode.readCacheDisabled == true)
        #expect(mode.taskSetType == .perNexus)
    }

    @Test func pagesThatDidNotComeAreNil() throws {
        let header: [UInt8] = [0x03, 0x00, 0x00, 0x00]
        let mode = try parsed(header, by: ModeParameters.init(modeSense6:))
        #expect(mode.writeCacheEnabled == nil)
        #expect(mode.taskSetType == nil)
    }

    @Test func modeDataLengthEndsTheData() throws {
        var bytes = Self.sense6
        bytes[0] = 0x17  // ends behind the caching page
        let mode = try parsed(bytes, by: ModeParameters.init(modeSense6:))
        #expect(mode.writeCacheEnabled == true)
        #expect(mode.taskSetType == nil)
    }

    @Test func answersOfSeveralCommandsMerge() throws {
        let caching = [0x17, 0, 0, 0] + Self.caching
        let control = [0x0f, 0, 0x10, 0] + Self.control
        let merged = try parsed(caching, by: ModeParameters.init(modeSense6:))
            .merging(parsed(control, by: ModeParameters.init(modeSense6:)))
        #expect(merged.writeCacheEnabled == true)
        #expect(merged.taskSetType == .perNexus)
        // The header is that of the later answer.
        #expect(merged.supportsFUA)
    }
}
