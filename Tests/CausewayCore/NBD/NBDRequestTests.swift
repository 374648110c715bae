import Testing

@testable import CausewayCore

@Suite struct NBDRequestTests {
    static let write = NBDBytes.parse(
        "25609513",  // NBD_REQUEST_MAGIC
        "0001",  // command flags: FUA
        "0001",  // type: WRITE
        "1f00000002000000",  // cookie, as a 6.1 kernel writes it
        "0000 0102 0304 0600",  // offset
        "00001000")  // length

    @Test func everyFieldOfAWrite() {
        let request = NBDBytes.request(Self.write)
        #expect(request.magic == NBDRequest.magic)
        #expect(request.flags == .forceUnitAccess)
        #expect(request.command == .write)
        #expect(request.cookie == NBDBytes.cookie([0x1f, 0, 0, 0, 2, 0, 0, 0]))
        #expect(request.offset == 0x0102_0304_0600)
        #expect(request.length == 4096)
        #expect(Self.write.count == NBDRequest.byteCount)
    }

    @Test func aRequestIsWrittenAsItWasRead() {
        let request = NBDBytes.request(Self.write)
        #expect(
            NBDBytes.written {
                request.copy(to: $0)
                return NBDRequest.byteCount
            } == Self.write)
    }

    @Test(arguments: [
        ("0000", NBDCommand.read, "READ"), ("0001", .write, "WRITE"), ("0002", .disconnect, "DISC"),
        ("0003", .flush, "FLUSH"), ("0004", .trim, "TRIM"), ("0005", .cache, "CACHE"),
        ("0006", .writeZeroes, "WRITE_ZEROES"), ("0007", .blockStatus, "BLOCK_STATUS"),
        ("0008", NBDCommand(rawValue: 8), "NBD command 8"),
        ("ffff", NBDCommand(rawValue: 65535), "NBD command 65535"),
    ])
    func commandsAreKnownByNumberAndName(_ wire: String, _ command: NBDCommand, _ name: String) {
        let request = NBDBytes.request(
            NBDBytes.parse("25609513 0000", wire, "0000000000000000 0000000000000000 00000000"))
        #expect(request.command == command)
        #expect(request.command.description == name)
    }

    @Test(arguments: [
        ("0001", CommandFlags.forceUnitAccess), ("0002", .noHole), ("0004", .doNotFragment),
        ("0008", .requestOne), ("0010", .fastZero), ("0020", .payloadLength), ("0000", CommandFlags()),
    ])
    func commandFlagsHaveTheirBits(_ wire: String, _ flags: CommandFlags) {
        let request = NBDBytes.request(
            NBDBytes.parse("25609513", wire, "0006 0000000000000000 0000000000000000 00000000"))
        #expect(request.flags == flags)
    }

    @Test func errorsHaveTheirNumbersAndNames() {
        let errors: [(NBDError, UInt32, String)] = [
            (.none, 0, "success"), (.notPermitted, 1, "EPERM"), (.inputOutput, 5, "EIO"),
            (.noMemory, 12, "ENOMEM"), (.invalidArgument, 22, "EINVAL"), (.noSpace, 28, "ENOSPC"),
            (.overflow, 75, "EOVERFLOW"), (.notSupported, 95, "ENOTSUP"), (.shutdown, 108, "ESHUTDOWN"),
            (NBDError(rawValue: 4711), 4711, "NBD error 4711"),
        ]
        for (error, number, name) in errors {
            #expect(error.rawValue == number)
            #expect(error.description == name)
        }
    }
}
