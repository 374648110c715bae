import Testing

@testable import CausewayCore

@Suite struct ExportDescriptionTests {
    func export(
        name: String = "disk", description: String = "", size: UInt64 = 1 << 30, minimum: UInt32 = 512,
        preferred: UInt32 = 4096, maximum: UInt32 = 32 << 20
    ) throws(ExportDescriptionError) -> ExportDescription {
        try ExportDescription(
            name: name, description: description, sizeBytes: size, transmissionFlags: .sendFlush,
            minimumBlockSize: minimum, preferredBlockSize: preferred, maximumBlockSize: maximum)
    }

    @Test(
        arguments: [
            // minimum, preferred, maximum as the LUN has them; preferred, maximum as NBD wants them
            (512, 4096, 32 << 20, 4096, 32 << 20),
            (512, 0, 32 << 20, 512, 32 << 20),
            (1, 1, 1 << 20, 512, 1 << 20),
            (4096, 512, 1 << 20, 4096, 1 << 20),
            (512, 100_000, 1 << 20, 131_072, 1 << 20),
            (4096, 4096, (1 << 20) + 513, 4096, 1 << 20),
            (4096, 65536, 4096, 65536, 65536),
            (512, UInt32.max, 0, 32 << 20, 32 << 20),
            (65536, 0, UInt32.max, 65536, UInt32.max - 65535),
        ] as [(UInt32, UInt32, UInt32, UInt32, UInt32)])
    func blockSizesAreMadeLawful(
        _ minimum: UInt32, _ preferred: UInt32, _ maximum: UInt32, _ lawfulPreferred: UInt32,
        _ lawfulMaximum: UInt32
    ) throws {
        let export = try export(minimum: minimum, preferred: preferred, maximum: maximum)
        #expect(export.minimumBlockSize == minimum)
        #expect(export.preferredBlockSize == lawfulPreferred)
        #expect(export.maximumBlockSize == lawfulMaximum)
    }

    @Test func whatNBDCannotExpressIsRefusedWithWords() {
        for size: UInt32 in [0, 3, 520, 131_072] {
            #expect(throws: ExportDescriptionError.blockSize(size)) { try export(minimum: size) }
        }
        #expect(throws: ExportDescriptionError.size(1 << 63)) { try export(size: 1 << 63) }
        #expect(throws: ExportDescriptionError.nameLength(4097)) {
            try export(name: String(repeating: "n", count: 4097))
        }
        #expect(throws: ExportDescriptionError.descriptionLength(4098)) {
            try export(description: String(repeating: "ü", count: 2049))
        }
        #expect("\(ExportDescriptionError.blockSize(520))".contains("520 bytes"))
    }

    @Test func flagsAreAlwaysAnnouncedAsPresent() throws {
        #expect(try export().transmissionFlags == [.hasFlags, .sendFlush])
    }

    @Test func transmissionFlagsHaveTheirBits() {
        let flags: [TransmissionFlags] = [
            .hasFlags, .readOnly, .sendFlush, .sendForceUnitAccess, .rotational, .sendTrim, .sendWriteZeroes,
            .sendDoNotFragment, .canMultiConnection, .sendResize, .sendCache, .sendFastZero,
        ]
        for (bit, flag) in flags.enumerated() { #expect(flag.rawValue == 1 << UInt16(bit)) }
    }
}
