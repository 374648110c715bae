import Testing

@testable import CausewayCore

/// Both directions of a handshake, and every way to cut the client's stream into reads.
enum NegotiationScript {
    struct Outcome: Equatable {
        var consumed = 0
        var output: [UInt8] = []
        var state = ExportNegotiation.Progress.needMore
    }

    static func export(
        _ name: String = "disk", description: String = "", baseAllocation: Bool = true,
        flags: TransmissionFlags = [.sendFlush, .sendForceUnitAccess, .sendTrim, .sendWriteZeroes]
    ) -> ExportDescription {
        do {
            return try ExportDescription(
                name: name, description: description, sizeBytes: 0x1_2340_0000, transmissionFlags: flags,
                minimumBlockSize: 512, preferredBlockSize: 65536, baseAllocation: baseAllocation)
        } catch { fatalError("\(error)") }
    }

    /// Feeds `bytes` in reads that end at `cuts`, until the handshake ends.
    static func play(_ bytes: [UInt8], cutAt cuts: [Int] = [], _ export: ExportDescription) -> Outcome {
        var negotiation = ExportNegotiation(export: export)
        var outcome = Outcome()
        var start = 0
        for end in cuts + [bytes.count] {
            let step = Array(bytes[start..<end]).withUnsafeBytes { negotiation.received($0) }
            outcome.consumed += step.consumed
            outcome.output += step.output
            outcome.state = step.state
            guard step.state == .needMore else { break }
            #expect(step.consumed == end - start)
            start = end
        }
        return outcome
    }

    /// The same outcome for the whole script at once, byte by byte, and cut in two at every point.
    static func check(
        _ client: [UInt8], answeredBy server: [UInt8], _ state: ExportNegotiation.Progress,
        unconsumed: Int = 0, _ export: ExportDescription = export(),
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let expected = Outcome(consumed: client.count - unconsumed, output: server, state: state)
        #expect(play(client, export) == expected, sourceLocation: sourceLocation)
        #expect(
            play(client, cutAt: Array(1..<client.count), export) == expected, sourceLocation: sourceLocation)
        for cut in 1..<client.count {
            #expect(play(client, cutAt: [cut], export) == expected, "\(cut)", sourceLocation: sourceLocation)
        }
    }

    /// Client flags FIXED_NEWSTYLE and NO_ZEROES.
    static let clientFlags = NBDBytes.parse("00000003")
    /// An option without data.
    static func bareOption(_ number: String) -> [UInt8] {
        NBDBytes.parse("'IHAVEOPT'", number, "00000000")
    }
    /// ACK for an option.
    static func acknowledgement(_ number: String) -> [UInt8] {
        NBDBytes.parse("0003e889045565a9", number, "00000001", "00000000")
    }
    /// An error for an option, with its sentence.
    static func error(_ number: String, _ type: String, _ message: String) -> [UInt8] {
        NBDBytes.parse("0003e889045565a9", number, type) + [0, 0, 0, UInt8(message.utf8.count)]
            + Array(message.utf8)
    }
}

@Suite struct ExportNegotiationTests {
    typealias Script = NegotiationScript

    static let flags: TransmissionFlags = [
        .hasFlags, .sendFlush, .sendForceUnitAccess, .sendTrim, .sendWriteZeroes,
    ]
    static func agreed(
        _ name: String, structured: Bool = false, context: UInt32? = nil
    ) -> ExportNegotiation.Progress {
        .transmission(
            NegotiatedTransmission(
                exportName: name,
                transmissionFlags: structured ? flags.union(.sendDoNotFragment) : flags,
                structuredReplies: structured, baseAllocationContextID: context))
    }
    /// INFO_EXPORT of the script's export, without and with the DF flag.
    static func exportInfo(_ option: String, structured: Bool = false) -> [UInt8] {
        NBDBytes.parse(
            "0003e889045565a9", option,
            "00000003",  // NBD_REP_INFO
            "0000000c",
            "0000",  // NBD_INFO_EXPORT
            "0000000123400000",  // size
            structured ? "00ed" : "006d")  // HAS_FLAGS, FLUSH, FUA, TRIM, WRITE_ZEROES, and DF
    }

    @Test func greeting() {
        let negotiation = ExportNegotiation(export: Script.export())
        #expect(
            negotiation.start()
                == NBDBytes.parse(
                    "4e42444d41474943",  // NBDMAGIC
                    "49484156454f5054",  // IHAVEOPT
                    "0003"))  // FIXED_NEWSTYLE, NO_ZEROES
    }

    // MARK: EXPORT_NAME

    @Test func exportName() {
        let option = NBDBytes.parse(
            "49484156454f5054",  // IHAVEOPT
            "00000001",  // NBD_OPT_EXPORT_NAME
            "00000004",  // length
            "'disk'")
        let reply = NBDBytes.parse(
            "0000000123400000",  // size
            "006d")  // transmission flags
        Script.check(Script.clientFlags + option, answeredBy: reply, Self.agreed("disk"))
        // A client from before NO_ZEROES gets the 124 bytes of padding, and may not even know fixed newstyle.
        let padded = reply + [UInt8](repeating: 0, count: 124)
        Script.check(NBDBytes.parse("00000001") + option, answeredBy: padded, Self.agreed("disk"))
        Script.check(NBDBytes.parse("00000000") + option, answeredBy: padded, Self.agreed("disk"))
        Script.check(NBDBytes.parse("00000002") + option, answeredBy: reply, Self.agreed("disk"))
    }

    @Test func exportNameMayBeEmpty() {
        Script.check(
            Script.clientFlags + Script.bareOption("00000001"),
            answeredBy: NBDBytes.parse("0000000123400000 006d"), Self.agreed(""))
    }

    @Test func exportNameThatIsNotServedClosesTheConnection() {
        Script.check(
            Script.clientFlags + NBDBytes.parse("'IHAVEOPT' 00000001 00000003 'dis'"), answeredBy: [],
            .closed(.unknownExport))
        Script.check(
            Script.clientFlags + NBDBytes.parse("'IHAVEOPT' 00000001 00001001 'disk'"), answeredBy: [],
            .closed(.oversizedExportName(4097)), unconsumed: 4)
    }

    // MARK: GO and INFO

    @Test func goWithEveryInformation() {
        let go = NBDBytes.parse(
            "49484156454f5054",  // IHAVEOPT
            "00000007",  // NBD_OPT_GO
            "00000012",  // length
            "00000004", "'disk'",  // name
            "0004",  // four kinds of information
            "0003", "0002", "0001",  // BLOCK_SIZE, DESCRIPTION, NAME
            "abcd")  // one that nobody knows
        let answer = NBDBytes.parse(
            // Reply magic, option, NBD_REP_INFO, length
            "0003e889045565a9", "00000007", "00000003", "0000000c",
            "0000",  // NBD_INFO_EXPORT
            "0000000123400000",  // size
            "006d",  // transmission flags
            "0003e889045565a9", "00000007", "00000003", "00000006",
            "0001", "'disk'",  // NBD_INFO_NAME
            "0003e889045565a9", "00000007", "00000003", "0000000a",
            "0002", "'ACME LUN'",  // NBD_INFO_DESCRIPTION
            "0003e889045565a9", "00000007", "00000003", "0000000e",
            "0003",  // NBD_INFO_BLOCK_SIZE
            "00000200", "00010000", "02000000",  // minimum, preferred, maximum
            "0003e889045565a9", "00000007", "00000001", "00000000")  // NBD_REP_ACK
        Script.check(
            Script.clientFlags + go, answeredBy: answer, Self.agreed("disk"),
            Script.export(description: "ACME LUN"))
    }

    @Test func goWithNothingAskedTellsTheExportAlone() {
        let go = NBDBytes.parse("'IHAVEOPT' 00000007 00000006 00000000 0000")
        Script.check(
            Script.clientFlags + go,
            answeredBy: Self.exportInfo("00000007") + Script.acknowledgement("00000007"), Self.agreed(""))
    }

    @Test func anEmptyDescriptionIsNotTold() {
        let go = NBDBytes.parse("'IHAVEOPT' 00000007 00000008 00000000 0001 0002")
        Script.check(
            Script.clientFlags + go,
            answeredBy: Self.exportInfo("00000007") + Script.acknowledgement("00000007"), Self.agreed(""))
    }

    @Test func infoLeavesTheHandshakeOpen() {
        let info = NBDBytes.parse("'IHAVEOPT' 00000006 00000006 00000000 0000")
        Script.check(
            Script.clientFlags + info + info,
            answeredBy: Self.exportInfo("00000006") + Script.acknowledgement("00000006")
                + Self.exportInfo("00000006") + Script.acknowledgement("00000006"), .needMore)
    }

    @Test func anUnknownExportIsNamedAndTheClientMayTryAgain() {
        let other = NBDBytes.parse("'IHAVEOPT' 00000007 0000000b 00000005 'other' 0000")
        let go = NBDBytes.parse("'IHAVEOPT' 00000007 0000000a 00000004 'disk' 0000")
        Script.check(
            Script.clientFlags + other + go,
            answeredBy: Script.error("00000007", "80000006", "the only export here is \"disk\"")
                + Self.exportInfo("00000007") + Script.acknowledgement("00000007"), Self.agreed("disk"))
    }

    @Test(arguments: [
        "00000000",  // no data at all
        "00000003 000000",  // half a name length
        "00000008 00000005 'disk'",  // name longer than the data
        "00000008 00000004 'disk'",  // no count
        "0000000a 00000004 'disk' 0001",  // one kind promised
        "0000000b 00000004 'disk' 0001 03",  // half a kind
        "0000000b 00000004 'disk' 0000 03",  // data left over
        "00000008 ffffffff 'disk'",
    ])
    func goWithMalformedDataIsInvalid(_ data: String) {
        for option in ["00000007", "00000006"] {
            let outcome = Script.play(
                Script.clientFlags + NBDBytes.parse("'IHAVEOPT'", option, data), Script.export())
            #expect(outcome.state == .needMore)
            #expect(
                outcome.output.starts(with: NBDBytes.parse("0003e889045565a9", option, "80000003")))
        }
    }

    @Test func firstRequestsMayFollowAtOnce() {
        let go = NBDBytes.parse("'IHAVEOPT' 00000007 00000006 00000000 0000")
        let answer = Self.exportInfo("00000007") + Script.acknowledgement("00000007")
        Script.check(
            Script.clientFlags + go + NBDRequestTests.write, answeredBy: answer, Self.agreed(""),
            unconsumed: NBDRequest.byteCount)
        Script.check(
            Script.clientFlags + Script.bareOption("00000001") + NBDRequestTests.write,
            answeredBy: NBDBytes.parse("0000000123400000 006d"), Self.agreed(""),
            unconsumed: NBDRequest.byteCount)
    }

    @Test func afterTheEndNothingIsConsumed() {
        var negotiation = ExportNegotiation(export: Script.export())
        let bytes = Script.clientFlags + Script.bareOption("00000001")
        _ = bytes.withUnsafeBytes { negotiation.received($0) }
        let step = NBDRequestTests.write.withUnsafeBytes { negotiation.received($0) }
        #expect(step.consumed == 0)
        #expect(step.output.isEmpty)
        #expect(step.state == Self.agreed(""))
    }

    // MARK: LIST, ABORT and what is not supported

    @Test func list() {
        Script.check(
            Script.clientFlags + Script.bareOption("00000003"),
            answeredBy: NBDBytes.parse(
                "0003e889045565a9", "00000003",
                "00000002",  // NBD_REP_SERVER
                "00000010",
                "00000004", "'disk'",  // name
                "'ACME LUN'")  // description
                + Script.acknowledgement("00000003"), .needMore, Script.export(description: "ACME LUN"))
    }

    @Test func optionsWithoutDataTakeNone() {
        for option in ["00000003", "00000008"] {
            Script.check(
                Script.clientFlags + NBDBytes.parse("'IHAVEOPT'", option, "00000001 00"),
                answeredBy: Script.error(
                    option, "80000003", "the option's data is longer than what it holds"), .needMore)
        }
    }

    @Test func abort() {
        Script.check(
            Script.clientFlags + Script.bareOption("00000002"),
            answeredBy: Script.acknowledgement("00000002"), .closed(.aborted))
        // Data that the option should not have does not keep a client that wants to go.
        Script.check(
            Script.clientFlags + NBDBytes.parse("'IHAVEOPT' 00000002 ffffffff 00"),
            answeredBy: Script.acknowledgement("00000002"), .closed(.aborted), unconsumed: 1)
    }

    @Test(arguments: ["00000000", "00000004", "00000005", "0000000b", "ffffffff"])
    func otherOptionsAreUnsupported(_ option: String) {
        Script.check(
            Script.clientFlags + NBDBytes.parse("'IHAVEOPT'", option, "00000003 aabbcc")
                + Script.bareOption("00000002"),
            answeredBy: Script.error(option, "80000001", "the server does not know this option")
                + Script.acknowledgement("00000002"), .closed(.aborted))
    }

    @Test func anOverlongOptionIsReadAwayAndTheHandshakeGoesOn() {
        let tooLong = [UInt8](repeating: 0x41, count: ExportNegotiation.optionDataByteCountMax + 1)
        let client =
            Script.clientFlags + NBDBytes.parse("'IHAVEOPT' 00000007 00004001") + tooLong
            + Script.bareOption("00000002")
        let expected = Script.Outcome(
            consumed: client.count,
            output: Script.error("00000007", "80000009", "options take at most 16384 bytes of data")
                + Script.acknowledgement("00000002"),
            state: .closed(.aborted))
        #expect(Script.play(client, Script.export()) == expected)
        #expect(Script.play(client, cutAt: Array(1..<client.count), Script.export()) == expected)
        // The longest that is looked at.
        let unknown =
            Array(client.prefix(4)) + NBDBytes.parse("'IHAVEOPT' 000000ff 00004000") + tooLong.dropLast()
        #expect(
            Script.play(unknown, Script.export()).output
                == Script.error("000000ff", "80000001", "the server does not know this option"))
    }

    @Test func anOverlongStringIsTooBig() {
        let name = [UInt8](repeating: 0x41, count: 4097)
        let client =
            Script.clientFlags + NBDBytes.parse("'IHAVEOPT' 00000006 00001007 00001001") + name + [0, 0]
        #expect(
            Script.play(client, Script.export()).output
                == Script.error("00000006", "80000009", "strings are at most 4096 bytes long"))
    }

    // MARK: What closes the connection

    @Test func unknownClientFlagsCloseTheConnection() {
        Script.check(
            NBDBytes.parse("00000007"), answeredBy: [], .closed(.unknownClientFlags(7)))
        Script.check(
            Array("GET / HTTP/1.1".utf8), answeredBy: [], .closed(.unknownClientFlags(0x4745_5420)),
            unconsumed: 10)
    }

    @Test func badOptionMagicClosesTheConnection() {
        Script.check(
            Script.clientFlags + NBDBytes.parse("'IHAVEOPS' 00000002 00000000"), answeredBy: [],
            .closed(.badOptionMagic(0x4948_4156_454f_5053)))
    }

    @Test func withoutFixedNewstyleThereIsOnlyExportName() {
        Script.check(
            NBDBytes.parse("00000002") + Script.bareOption("00000003"), answeredBy: [],
            .closed(.optionWithoutFixedNewstyle(3)))
    }

    @Test func whoHagglesForEverIsShownTheDoor() {
        var client = Script.clientFlags
        for _ in 0...ExportNegotiation.optionCountMax { client += Script.bareOption("00000008") }
        let outcome = Script.play(client, Script.export())
        #expect(outcome.state == .closed(.tooManyOptions))
        #expect(outcome.output.count == 20 * ExportNegotiation.optionCountMax)
    }

    @Test func everyEndHasWords() {
        #expect("\(NegotiationEnd.unknownClientFlags(0x40))".contains("0x40"))
        #expect("\(NegotiationEnd.badOptionMagic(0xab))".contains("0xab"))
        #expect("\(NegotiationEnd.optionWithoutFixedNewstyle(3))".contains("option 3"))
        #expect("\(NegotiationEnd.oversizedExportName(5000))".contains("5000 bytes"))
        for end in [NegotiationEnd.aborted, .unknownExport, .tooManyOptions] {
            #expect("\(end)".hasPrefix("the client"))
        }
    }

    // MARK: Metadata contexts

    static let structured = NegotiationScript.bareOption("00000008")
    static let structuredAcknowledged = NegotiationScript.acknowledgement("00000008")
    /// SET_META_CONTEXT "disk", one query: base:allocation.
    static let setBaseAllocation = NBDBytes.parse(
        "49484156454f5054",  // IHAVEOPT
        "0000000a",  // NBD_OPT_SET_META_CONTEXT
        "0000001f",  // length
        "00000004", "'disk'",  // export
        "00000001",  // one query
        "0000000f", "'base:allocation'")
    static func metaContext(_ option: String, _ number: String) -> [UInt8] {
        NBDBytes.parse(
            "0003e889045565a9", option,
            "00000004",  // NBD_REP_META_CONTEXT
            "00000013", number, "'base:allocation'")
    }
    static let goDisk = NBDBytes.parse("'IHAVEOPT' 00000007 0000000a 00000004 'disk' 0000")
    static let goAnswer =
        exportInfo("00000007", structured: true) + NegotiationScript.acknowledgement("00000007")

    @Test func structuredRepliesAndBaseAllocation() {
        Script.check(
            Script.clientFlags + Self.structured + Self.setBaseAllocation + Self.goDisk,
            answeredBy: Self.structuredAcknowledged + Self.metaContext("0000000a", "00000001")
                + Script.acknowledgement("0000000a") + Self.goAnswer,
            Self.agreed("disk", structured: true, context: 1))
    }

    @Test func aContextOfAnotherNameDoesNotCount() {
        let goEmpty = NBDBytes.parse("'IHAVEOPT' 00000007 00000006 00000000 0000")
        Script.check(
            Script.clientFlags + Self.structured + Self.setBaseAllocation + goEmpty,
            answeredBy: Self.structuredAcknowledged + Self.metaContext("0000000a", "00000001")
                + Script.acknowledgement("0000000a") + Self.goAnswer,
            Self.agreed("", structured: true))
    }

    @Test func contextsNeedStructuredReplies() {
        let set = Self.setBaseAllocation
        Script.check(
            Script.clientFlags + set,
            answeredBy: Script.error("0000000a", "80000003", "structured replies have not been negotiated"),
            .needMore)
    }

    @Test func contextsAreOnlyTakenWhereTheyAreOffered() {
        Script.check(
            Script.clientFlags + Self.structured + Self.setBaseAllocation + Self.goDisk,
            answeredBy: Self.structuredAcknowledged + Script.acknowledgement("0000000a") + Self.goAnswer,
            Self.agreed("disk", structured: true), Script.export(baseAllocation: false))
    }

    @Test(arguments: [
        // Nothing chosen; a wildcard; unknown names
        "0000000c 00000004 'disk' 00000000",
        "00000015 00000004 'disk' 00000001 00000005 'base:'",
        "00000031 00000004 'disk' 00000002 00000010 'base:allocation2' 0000000d 'qemu:dirty-bm'",
        // Another export, and malformed data
        "00000020 00000005 'disks' 00000001 0000000f 'base:allocation'",
        "0000001f 00000004 'disk' 00000002 0000000f 'base:allocation'",
        "00000020 00000004 'disk' 00000001 0000000f 'base:allocation' 00",
    ])
    func aLaterChoiceReplacesTheFirst(_ data: String) {
        let again = NBDBytes.parse("'IHAVEOPT' 0000000a", data)
        let outcome = Script.play(
            Script.clientFlags + Self.structured + Self.setBaseAllocation + again + Self.goDisk,
            Script.export())
        #expect(outcome.state == Self.agreed("disk", structured: true))
    }

    @Test func anOverlongChoiceReplacesTheFirstToo() {
        let tooLong = [UInt8](repeating: 0, count: ExportNegotiation.optionDataByteCountMax + 1)
        let again = NBDBytes.parse("'IHAVEOPT' 0000000a 00004001") + tooLong
        let outcome = Script.play(
            Script.clientFlags + Self.structured + Self.setBaseAllocation + again + Self.goDisk,
            Script.export())
        #expect(outcome.state == Self.agreed("disk", structured: true))
    }

    @Test func aContextIsAnsweredOnceHoweverOftenItIsAskedFor() {
        let twice = NBDBytes.parse(
            "'IHAVEOPT' 0000000a 00000032 00000004 'disk' 00000002",
            "0000000f 'base:allocation' 0000000f 'base:allocation'")
        Script.check(
            Script.clientFlags + Self.structured + twice,
            answeredBy: Self.structuredAcknowledged + Self.metaContext("0000000a", "00000001")
                + Script.acknowledgement("0000000a"), .needMore)
    }

    @Test(arguments: [
        "0000000c 00000004 'disk' 00000000",  // every context
        "00000015 00000004 'disk' 00000001 00000005 'base:'",
        "0000001b 00000000 00000001 0000000f 'base:allocation'",
    ])
    func contextsCanBeListedWithoutBeingChosen(_ data: String) {
        let list = NBDBytes.parse("'IHAVEOPT' 00000009", data)
        Script.check(
            Script.clientFlags + Self.structured + list + Self.goDisk,
            answeredBy: Self.structuredAcknowledged + Self.metaContext("00000009", "00000000")
                + Script.acknowledgement("00000009") + Self.goAnswer,
            Self.agreed("disk", structured: true))
    }

    @Test func aListOfOtherNamespacesIsEmpty() {
        let list = NBDBytes.parse("'IHAVEOPT' 00000009 00000015 00000004 'disk' 00000001 00000005 'qemu:'")
        Script.check(
            Script.clientFlags + Self.structured + list,
            answeredBy: Self.structuredAcknowledged + Script.acknowledgement("00000009"), .needMore)
    }

    // MARK: Random bytes

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func randomBytesNeitherTrapNorDependOnTheReads(_ seed: UInt64) {
        var generator = NBDSeededGenerator(state: seed)
        let valid =
            Script.clientFlags + Self.structured + Self.setBaseAllocation + Script.bareOption("00000003")
            + NBDBytes.parse("'IHAVEOPT' 00000006 0000000c 00000000 0003 000300020001")
            + Script.bareOption("0000000b") + Self.goDisk + NBDRequestTests.write
        var ends = 0
        for _ in 0..<1500 {
            var bytes: [UInt8]
            switch generator.next() % 3 {
            case 0:
                // A valid handshake with a few bytes changed.
                bytes = valid
                for _ in 0...generator.next() % 4 {
                    bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(
                        in: 0...255, using: &generator)
                }
            case 1:
                // Known options with data of any content.
                bytes = Script.clientFlags
                for _ in 0..<8 {
                    let count = UInt8.random(in: 0...40, using: &generator)
                    bytes += Array("IHAVEOPT".utf8) + [0, 0, 0, UInt8.random(in: 3...12, using: &generator)]
                    bytes += [0, 0, 0, count]
                    for _ in 0..<count {
                        bytes.append(
                            generator.next() % 2 == 0 ? 0 : UInt8.random(in: 0...16, using: &generator))
                    }
                }
            default:
                bytes = generator.next() % 2 == 0 ? [] : Script.clientFlags
                for _ in 0..<200 { bytes.append(UInt8.random(in: 0...255, using: &generator)) }
            }
            let whole = Script.play(bytes, Script.export())
            var cuts: [Int] = []
            var position = 0
            while true {
                position += Int.random(in: 1...40, using: &generator)
                guard position < bytes.count else { break }
                cuts.append(position)
            }
            #expect(Script.play(bytes, cutAt: cuts, Script.export()) == whole)
            if whole.state != .needMore { ends += 1 }
        }
        #expect(ends > 100)
    }
}
