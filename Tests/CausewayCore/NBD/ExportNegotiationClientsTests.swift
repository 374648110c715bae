import Testing

@testable import CausewayCore

/// What the clients that people use say, in their order (libnbd 1.14, QEMU 7.2, fio 3.33, nbd-client).
@Suite struct ExportNegotiationClientsTests {
    typealias Script = NegotiationScript

    static let structured = Script.bareOption("00000008")
    static let structuredAcknowledged = Script.acknowledgement("00000008")
    static let flags: TransmissionFlags = [
        .hasFlags, .sendFlush, .sendForceUnitAccess, .sendTrim, .sendWriteZeroes, .sendDoNotFragment,
    ]
    static let exportInfo = NBDBytes.parse(
        "00000003 0000000c",  // NBD_REP_INFO, 12 bytes
        "0000 0000000123400000 00ed")  // NBD_INFO_EXPORT, size, flags with DF
    static let blockSizeInfo = NBDBytes.parse(
        "00000003 0000000e",
        "0003 00000200 00010000 02000000")  // NBD_INFO_BLOCK_SIZE
    static func reply(_ option: String, _ rest: [UInt8]) -> [UInt8] {
        NBDBytes.parse("0003e889045565a9", option) + rest
    }
    /// GO with the empty name, asking for BLOCK_SIZE.
    static let goForBlockSize = NBDBytes.parse("'IHAVEOPT' 00000007 00000008 00000000 0001 0003")
    static let goAnswer =
        reply("00000007", exportInfo) + reply("00000007", blockSizeInfo) + Script.acknowledgement("00000007")

    /// fio and nbdcopy: structured replies, GO, then the first READ at once.
    @Test func fioAndNbdcopy() {
        let read = NBDBytes.parse("25609513 0000 0000 0000000000000001 0000000000000000 00040000")
        Script.check(
            Script.clientFlags + Self.structured + Self.goForBlockSize + read,
            answeredBy: Self.structuredAcknowledged + Self.goAnswer,
            .transmission(
                NegotiatedTransmission(
                    exportName: "", transmissionFlags: Self.flags, structuredReplies: true,
                    baseAllocationContextID: nil)), unconsumed: NBDRequest.byteCount)
    }

    /// qemu-img: base:allocation before GO, under the name of its URI.
    @Test func qemu() {
        let set = NBDBytes.parse(
            "'IHAVEOPT' 0000000a 0000001f 00000004 'disk' 00000001 0000000f 'base:allocation'")
        let go = NBDBytes.parse("'IHAVEOPT' 00000007 0000000c 00000004 'disk' 0001 0003")
        Script.check(
            Script.clientFlags + Self.structured + set + go,
            answeredBy: Self.structuredAcknowledged
                + Self.reply("0000000a", NBDBytes.parse("00000004 00000013 00000001 'base:allocation'"))
                + Script.acknowledgement("0000000a") + Self.goAnswer,
            .transmission(
                NegotiatedTransmission(
                    exportName: "disk", transmissionFlags: Self.flags, structuredReplies: true,
                    baseAllocationContextID: 1)))
    }

    /// nbdinfo: everything about the export, then its contexts, each time under the empty name; GO to look at
    /// the content, or ABORT after `--list`.
    @Test func nbdinfo() {
        let threeKinds = "0000000c 00000000 0003 0003 0001 0002"  // BLOCK_SIZE, NAME, DESCRIPTION
        let info = NBDBytes.parse("'IHAVEOPT' 00000006", threeKinds)
        let listContexts = NBDBytes.parse("'IHAVEOPT' 00000009 00000008 00000000 00000000")
        let go = NBDBytes.parse("'IHAVEOPT' 00000007", threeKinds)
        let haggled = Script.clientFlags + Self.structured + info + listContexts

        func described(_ option: String) -> [UInt8] {
            Self.reply(option, Self.exportInfo)
                + Self.reply(option, NBDBytes.parse("00000003 00000006 0001 'disk'"))
                + Self.reply(option, NBDBytes.parse("00000003 0000000a 0002 'ACME LUN'"))
                + Self.reply(option, Self.blockSizeInfo) + Script.acknowledgement(option)
        }
        let answered =
            Self.structuredAcknowledged + described("00000006")
            + Self.reply("00000009", NBDBytes.parse("00000004 00000013 00000000 'base:allocation'"))
            + Script.acknowledgement("00000009")
        let export = Script.export(description: "ACME LUN")
        Script.check(
            haggled + go, answeredBy: answered + described("00000007"),
            .transmission(
                NegotiatedTransmission(
                    exportName: "", transmissionFlags: Self.flags, structuredReplies: true,
                    baseAllocationContextID: nil)), export)
        Script.check(
            haggled + Script.bareOption("00000002"),
            answeredBy: answered + Script.acknowledgement("00000002"), .closed(.aborted), export)
    }

    /// libnbd 1.16 and later ask for extended headers first and take no for an answer.
    @Test func clientsThatWouldLikeExtendedHeaders() {
        Script.check(
            Script.clientFlags + Script.bareOption("0000000b") + Self.structured + Self.goForBlockSize,
            answeredBy: Script.error("0000000b", "80000001", "the server does not know this option")
                + Self.structuredAcknowledged + Self.goAnswer,
            .transmission(
                NegotiatedTransmission(
                    exportName: "", transmissionFlags: Self.flags, structuredReplies: true,
                    baseAllocationContextID: nil)))
    }

    /// nbd-client for the kernel: GO without structured replies.
    @Test func nbdClient() {
        let go = NBDBytes.parse("'IHAVEOPT' 00000007 0000000a 00000004 'disk' 0000")
        let flags = Self.flags.subtracting(.sendDoNotFragment)
        Script.check(
            Script.clientFlags + go,
            answeredBy: Self.reply(
                "00000007", NBDBytes.parse("00000003 0000000c 0000 0000000123400000 006d"))
                + Script.acknowledgement("00000007"),
            .transmission(
                NegotiatedTransmission(
                    exportName: "disk", transmissionFlags: flags, structuredReplies: false,
                    baseAllocationContextID: nil)))
    }
}
