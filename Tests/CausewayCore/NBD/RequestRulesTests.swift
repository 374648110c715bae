import Testing

@testable import CausewayCore

@Suite struct RequestRulesTests {
    static let size: UInt64 = 1 << 30
    static let payloadMax: UInt32 = 1 << 20

    static func rules(
        _ flags: TransmissionFlags, structured: Bool = false, status: Bool = false, minimum: UInt32 = 512
    ) -> RequestRules {
        do {
            let export = try ExportDescription(
                name: "disk", sizeBytes: size, transmissionFlags: flags, minimumBlockSize: minimum,
                maximumBlockSize: payloadMax)
            let transmission = NegotiatedTransmission(
                exportName: "", transmissionFlags: flags, structuredReplies: structured,
                baseAllocationContextID: status ? 1 : nil)
            return RequestRules(export: export, transmission: transmission, payloadMax: payloadMax)
        } catch { fatalError("\(error)") }
    }

    static let full: TransmissionFlags = [
        .sendFlush, .sendForceUnitAccess, .sendTrim, .sendWriteZeroes, .sendCache, .sendFastZero,
    ]
    static let all = rules(full, structured: true, status: true)
    static let simple = rules(full)
    static let bare = rules([])
    static let readOnly = rules(full.union(.readOnly))

    struct Row: CustomTestStringConvertible, Sendable {
        let rules: RequestRules
        let request: NBDRequest
        let verdict: RequestVerdict
        let fault: RequestFault?
        var testDescription: String {
            "\(request.command) flags \(request.flags.rawValue) at \(request.offset) of \(request.length)"
        }
        init(
            _ rules: RequestRules, _ command: NBDCommand, with flags: CommandFlags = [],
            at offset: UInt64 = 0,
            of length: UInt32 = 4096, _ verdict: RequestVerdict, _ fault: RequestFault? = nil
        ) {
            self.rules = rules
            request = NBDRequest(command, flags: flags, cookie: 7, offset: offset, length: length)
            self.verdict = verdict
            self.fault = fault
        }
    }

    static let accepted: [Row] = [
        Row(all, .read, .accept), Row(all, .write, .accept), Row(all, .trim, .accept),
        Row(all, .writeZeroes, .accept), Row(all, .cache, .accept), Row(all, .blockStatus, .accept),
        Row(all, .flush, of: 0, .accept), Row(simple, .read, .accept), Row(bare, .read, .accept),
        Row(bare, .write, .accept), Row(readOnly, .read, .accept), Row(readOnly, .flush, of: 0, .accept),
        // FUA on any command.
        Row(all, .read, with: .forceUnitAccess, .accept), Row(all, .write, with: .forceUnitAccess, .accept),
        Row(all, .trim, with: .forceUnitAccess, .accept), Row(all, .cache, with: .forceUnitAccess, .accept),
        Row(all, .writeZeroes, with: .forceUnitAccess, .accept),
        Row(all, .blockStatus, with: .forceUnitAccess, .accept),
        Row(all, .flush, with: .forceUnitAccess, of: 0, .accept),
        // The flags of one command each.
        Row(all, .writeZeroes, with: [.noHole, .fastZero, .forceUnitAccess], .accept),
        Row(simple, .writeZeroes, with: .noHole, .accept), Row(all, .read, with: .doNotFragment, .accept),
        Row(all, .blockStatus, with: .requestOne, .accept),
        // A kernel may send WRITE_ZEROES though it was not announced.
        Row(bare, .writeZeroes, with: .noHole, .accept),
        // Up to the last byte; READ and WRITE up to the maximum, the others up to the end.
        Row(all, .read, at: size - 512, of: 512, .accept), Row(all, .write, at: size - 512, of: 512, .accept),
        Row(all, .read, of: payloadMax, .accept), Row(all, .write, of: payloadMax, .accept),
        Row(all, .trim, of: 1 << 30, .accept), Row(all, .writeZeroes, of: 1 << 30, .accept),
        Row(all, .blockStatus, of: 1 << 30, .accept), Row(all, .cache, of: 1 << 30, .accept),
    ]

    static let einval = RequestVerdict.refuse(.invalidArgument)
    static let einvalWrite = RequestVerdict.refuseAndSkipPayload(.invalidArgument)

    static let refused: [Row] = [
        // Commands.
        Row(all, NBDCommand(rawValue: 8), einval, .unknownCommand),
        Row(all, NBDCommand(rawValue: 0xffff), einval, .unknownCommand),
        Row(bare, .flush, of: 0, einval, .commandNotOffered), Row(bare, .trim, einval, .commandNotOffered),
        Row(bare, .cache, einval, .commandNotOffered), Row(simple, .blockStatus, einval, .noMetadataContext),
        Row(rules(full, structured: true), .blockStatus, einval, .noMetadataContext),
        // Flags.
        Row(all, .read, with: CommandFlags(rawValue: 0x8000), einval, .flagNotAllowed),
        Row(all, .write, with: CommandFlags(rawValue: 0x40), einvalWrite, .flagNotAllowed),
        Row(all, .write, with: .payloadLength, einvalWrite, .flagNotAllowed),
        Row(all, .read, with: .noHole, einval, .flagNotAllowed),
        Row(all, .trim, with: .noHole, einval, .flagNotAllowed),
        Row(all, .write, with: .noHole, einvalWrite, .flagNotAllowed),
        Row(all, .flush, with: .noHole, of: 0, einval, .flagNotAllowed),
        Row(all, .write, with: .fastZero, einvalWrite, .flagNotAllowed),
        Row(all, .write, with: .doNotFragment, einvalWrite, .flagNotAllowed),
        Row(all, .blockStatus, with: .doNotFragment, einval, .flagNotAllowed),
        Row(all, .read, with: .requestOne, einval, .flagNotAllowed),
        Row(simple, .read, with: .doNotFragment, einval, .flagNotAllowed),
        Row(bare, .write, with: .forceUnitAccess, einvalWrite, .flagNotAllowed),
        Row(bare, .writeZeroes, with: .fastZero, einval, .flagNotAllowed),
        // Read-only.
        Row(readOnly, .write, .refuseAndSkipPayload(.notPermitted), .readOnly),
        Row(readOnly, .trim, .refuse(.notPermitted), .readOnly),
        Row(readOnly, .writeZeroes, .refuse(.notPermitted), .readOnly),
        // Lengths.
        Row(all, .read, of: 0, einval, .zeroLength), Row(all, .write, of: 0, einval, .zeroLength),
        Row(all, .trim, of: 0, einval, .zeroLength), Row(all, .writeZeroes, of: 0, einval, .zeroLength),
        Row(all, .blockStatus, of: 0, einval, .zeroLength), Row(all, .cache, of: 0, einval, .zeroLength),
        Row(all, .read, of: payloadMax + 512, einval, .tooLong),
        Row(all, .read, of: .max, einval, .tooLong),
        Row(all, .read, with: .doNotFragment, of: payloadMax + 512, .refuse(.overflow), .tooLongForOneChunk),
        Row(all, .write, of: payloadMax + 512, einvalWrite, .tooLong),
        Row(all, .write, of: 64 << 20, einvalWrite, .tooLong),
        Row(all, .flush, of: 512, einval, .flushOfRange),
        Row(all, .flush, at: 512, of: 0, einval, .flushOfRange),
        // Alignment.
        Row(all, .read, at: 256, einval, .unaligned), Row(all, .read, of: 513, einval, .unaligned),
        Row(all, .write, at: 1, einvalWrite, .unaligned), Row(all, .trim, of: 511, einval, .unaligned),
        Row(all, .blockStatus, at: 100, einval, .unaligned),
        Row(rules(full, minimum: 4096), .read, at: 512, einval, .unaligned),
        // Past the end.
        Row(all, .read, at: size, of: 512, einval, .pastEnd),
        Row(all, .read, at: size - 512, of: 1024, einval, .pastEnd),
        Row(all, .trim, at: size - 512, of: 1024, einval, .pastEnd),
        Row(all, .blockStatus, at: size, of: 512, einval, .pastEnd),
        Row(all, .cache, at: size, of: 512, einval, .pastEnd),
        Row(all, .write, at: size, of: 512, .refuseAndSkipPayload(.noSpace), .writePastEnd),
        Row(all, .write, at: size - 512, of: 1024, .refuseAndSkipPayload(.noSpace), .writePastEnd),
        Row(all, .writeZeroes, at: size, of: 512, .refuse(.noSpace), .writePastEnd),
        // Offset and length whose sum overflows.
        Row(all, .read, at: .max - 511, of: 512, einval, .pastEnd),
        Row(all, .read, at: .max - 511, of: 1024, einval, .pastEnd),
        Row(all, .write, at: .max - 511, of: 1024, .refuseAndSkipPayload(.noSpace), .writePastEnd),
        Row(all, .trim, at: .max - 511, of: 4_294_966_784, einval, .pastEnd),
    ]

    @Test(arguments: accepted + refused)
    func verdict(_ row: Row) {
        #expect(row.rules.validate(row.request) == row.verdict)
        #expect(row.rules.fault(in: row.request) == row.fault)
    }

    @Test func aPayloadTooLongToReadAwayEndsTheConnection() {
        let most = NBDRequest(.write, length: 64 << 20)
        #expect(Self.all.validate(most) == .refuseAndSkipPayload(.invalidArgument))
        let more = NBDRequest(.write, length: (64 << 20) + 512)
        #expect(Self.all.validate(more) == .disconnect(.oversizedWrite((64 << 20) + 512)))
    }

    @Test func aLostStreamAndAGoodbyeEndTheConnection() {
        #expect(Self.all.validate(NBDRequest(.disconnect)) == .disconnect(.requested))
        // Whatever else it carries: there is no reply to say so.
        #expect(
            Self.all.validate(NBDRequest(.disconnect, flags: .noHole, length: 9)) == .disconnect(.requested))
        var request = NBDRequest(.read, length: 512)
        request.magic = 0x1234_5678
        #expect(Self.all.validate(request) == .disconnect(.badMagic(0x1234_5678)))
    }

    @Test func aResizeCountsAtOnce() {
        var rules = Self.all
        let request = NBDRequest(.read, offset: Self.size, length: 512)
        #expect(rules.validate(request) == Self.einval)
        rules.sizeBytes += 512
        #expect(rules.validate(request) == .accept)
        rules.sizeBytes = 0
        #expect(rules.validate(NBDRequest(.read, length: 512)) == Self.einval)
    }

    @Test func theKernelsDriverMayDoWhatItDoes() throws {
        let export = try ExportDescription(
            name: "disk", sizeBytes: 1 << 40,
            transmissionFlags: [.sendFlush, .sendForceUnitAccess, .sendTrim],
            minimumBlockSize: 4096)
        let rules = RequestRules(export: export)
        #expect(rules.validate(NBDRequest(.read, length: 32 << 20)) == .accept)
        #expect(rules.validate(NBDRequest(.write, flags: .forceUnitAccess, length: 32 << 20)) == .accept)
        #expect(rules.validate(NBDRequest(.writeZeroes, flags: .noHole, length: 4_294_963_200)) == .accept)
        #expect(rules.validate(NBDRequest(.trim, length: 4_294_963_200)) == .accept)
        #expect(rules.validate(NBDRequest(.flush)) == .accept)
        #expect(rules.validate(NBDRequest(.read, length: (32 << 20) + 4096)) == Self.einval)
    }

    @Test func whatIsAnnouncedIsServed() throws {
        let export = try ExportDescription(
            name: "disk", sizeBytes: 1 << 40, transmissionFlags: [], minimumBlockSize: 512,
            maximumBlockSize: 128 << 20)
        let rules = RequestRules(export: export)
        #expect(rules.validate(NBDRequest(.write, length: 128 << 20)) == .accept)
        #expect(rules.validate(NBDRequest(.write, length: 256 << 20)) == Self.einvalWrite)
        #expect(
            rules.validate(NBDRequest(.write, length: (256 << 20) + 1))
                == .disconnect(.oversizedWrite((256 << 20) + 1)))
    }

    @Test func everyFaultHasWords() {
        for fault in RequestFault.allCases {
            #expect(fault.message.utf8CodeUnitCount <= ReplyChunk.messageByteCountMax)
            #expect(fault.error != .none)
        }
        #expect("\(TransmissionEnd.badMagic(0xdead))".contains("0xdead"))
        #expect("\(TransmissionEnd.oversizedWrite(99))".contains("99 bytes"))
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func whatIsAcceptedOfRandomBytesIsSafe(_ seed: UInt64) {
        var generator = NBDSeededGenerator(state: seed)
        var acceptedCount = 0
        for _ in 0..<20_000 {
            var bytes = [UInt8](repeating: 0, count: NBDRequest.byteCount)
            for index in bytes.indices { bytes[index] = UInt8.random(in: 0...255, using: &generator) }
            var request = NBDBytes.request(bytes)
            // Each field is made likely now and then, so that all checks are reached.
            if generator.next() % 16 != 0 { request.magic = NBDRequest.magic }
            if generator.next() % 4 != 0 { request.command.rawValue %= 9 }
            if generator.next() % 4 != 0 { request.flags.rawValue &= 1 }
            if generator.next() % 2 != 0 { request.length = request.length % 4096 * 512 }
            if generator.next() % 2 != 0 { request.offset = request.offset % (1 << 22) * 512 }
            for rules in [Self.all, Self.simple, Self.bare, Self.readOnly] {
                guard rules.validate(request) == .accept else { continue }
                acceptedCount += 1
                let (end, overflow) = request.offset.addingReportingOverflow(UInt64(request.length))
                #expect(!overflow && end <= Self.size)
                #expect(request.offset % 512 == 0 && request.length % 512 == 0)
                if request.command == .read || request.command == .write {
                    #expect(request.length <= Self.payloadMax)
                }
            }
        }
        #expect(acceptedCount > 100)
    }
}
