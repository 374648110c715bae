import Testing

@testable import CausewayCore

@Suite struct DeviceIdentificationTests {
    static let naa6: [UInt8] = [
        0x60, 0x01, 0x40, 0x5a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12,
    ]

    static let page: [UInt8] =
        [
            0x00, 0x83,  // direct access; PAGE CODE
            0x00, 0x56,  // PAGE LENGTH
            0x02, 0x01, 0x00, 0x10,  // ASCII; logical unit, T10 vendor ID; length
        ] + Array("IET     00010001".utf8)  // T10 VENDOR IDENTIFICATION, vendor's text
        + [
            0x01, 0x03, 0x00, 0x08,  // binary; logical unit, NAA; length
            0x30, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01,  // NAA 3, locally assigned
            0x01, 0x03, 0x00, 0x10,  // binary; logical unit, NAA; length
        ] + naa6
        + [
            0x51, 0x94, 0x00, 0x04,  // iSCSI, binary; PIV, target port, relative target port; length
            0x00, 0x00, 0x00, 0x02,
            0x51, 0x95, 0x00, 0x04,  // iSCSI, binary; PIV, target port, target port group; length
            0x00, 0x00, 0x01, 0x10,
            0x53, 0xa8, 0x00, 0x0e,  // iSCSI, UTF-8; PIV, target device, SCSI name string; length
        ] + Array("iqn.2026-01.a\0".utf8)

    private func unit(_ kind: Designator.Kind, _ codeSet: Designator.CodeSet, _ bytes: [UInt8]) -> Designator
    {
        Designator(association: .logicalUnit, kind: kind, codeSet: codeSet, bytes: bytes)
    }
    private let t10 = Designator(
        association: .logicalUnit, kind: .t10VendorID, codeSet: .ascii, bytes: Array("IET     00010001".utf8))
    private var extended: Designator { unit(.naa, .binary, Self.naa6) }
    private var eui: Designator { unit(.eui64, .binary, [0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]) }

    @Test func everyDesignator() throws {
        let page = try parsed(Self.page, by: DeviceIdentification.init)
        #expect(page.designators.count == 6)
        #expect(page.designators[0] == t10)
        #expect(page.designators[2] == extended)
        #expect(page.designators[5].association == .targetDevice)
        #expect(page.designators[5].kind == .scsiNameString)
        #expect(page.relativeTargetPort == 2)
        #expect(page.targetPortGroup == 0x110)
    }

    @Test func theBestIdentityWins() throws {
        let page = try parsed(Self.page, by: DeviceIdentification.init)
        #expect(page.identities.map(\.kind) == [.naaExtended, .naaLocal, .t10VendorID])
        #expect(page.identity?.wwid == "naa.6001405abcdef0123456789abcdef012")
        #expect(page.identity?.multipathWWID == "36001405abcdef0123456789abcdef012")
    }

    @Test func rankOfKinds() {
        let uuid = unit(.uuid, .binary, [0x10, 0x00] + [UInt8](1...16))
        let name = unit(.scsiNameString, .utf8, Array("iqn.2026-01.a,L,0x01".utf8) + [0, 0, 0, 0])
        let naa5 = unit(.naa, .binary, [0x50, 1, 2, 3, 4, 5, 6, 7])
        let naa3 = unit(.naa, .binary, [0x30, 1, 2, 3, 4, 5, 6, 7])
        let rank = [extended, naa5, eui, uuid, name, naa3, t10]
        #expect(
            DeviceIdentification(designators: rank.reversed()).identities
                == rank.compactMap(LogicalUnitIdentity.init))
    }

    @Test func formsOfNames() {
        #expect(LogicalUnitIdentity(eui)?.wwid == "eui.0011223344556677")
        #expect(LogicalUnitIdentity(eui)?.multipathWWID == "20011223344556677")
        #expect(LogicalUnitIdentity(t10)?.wwid == "t10.IET     00010001")
        #expect(LogicalUnitIdentity(t10)?.multipathWWID == "1IET_00010001")
        let name = LogicalUnitIdentity(unit(.scsiNameString, .utf8, Array("naa.5000\0\0\0\0".utf8)))
        #expect(name?.wwid == "naa.5000")
        #expect(name?.multipathWWID == "8naa.5000")
        let uuid = LogicalUnitIdentity(unit(.uuid, .binary, [0x10, 0x00] + [UInt8](1...16)))
        #expect(uuid?.description == "uuid.0102030405060708090a0b0c0d0e0f10")
        #expect(uuid?.multipathWWID == nil)
        let hostile = LogicalUnitIdentity(unit(.t10VendorID, .ascii, Array("EVIL\u{1b}[2J   x".utf8)))
        #expect(hostile?.wwid == #"t10.EVIL\x1B[2J   x"#)
    }

    @Test func whatNamesNoLogicalUnit() {
        var port = extended
        port.association = .targetPort
        for designator in [
            port,
            unit(.naa, .binary, Array(Self.naa6.prefix(8))),  // NAA 6 of eight bytes
            unit(.naa, .ascii, Self.naa6),
            unit(.naa, .binary, []),
            unit(.naa, .binary, [UInt8](repeating: 0xff, count: 16)),
            unit(.eui64, .binary, [1, 2, 3]),
            unit(.uuid, .binary, [UInt8](repeating: 0, count: 18)),
            unit(.t10VendorID, .ascii, Array("VENDOR  ".utf8)),
            unit(.t10VendorID, .ascii, [UInt8](repeating: 0x20, count: 24)),
            unit(.scsiNameString, .utf8, [0, 0, 0, 0]),
            unit(.vendorSpecific, .binary, [1, 2, 3, 4]),
            unit(.md5, .binary, Self.naa6),
        ] {
            #expect(LogicalUnitIdentity(designator) == nil)
        }
    }

    @Test func orderOfDesignatorsDoesNotMatter() {
        let other = unit(.naa, .binary, [0x61] + Self.naa6.dropFirst())
        let a = DeviceIdentification(designators: [extended, other, t10])
        let b = DeviceIdentification(designators: [t10, other, extended])
        #expect(a.identity == b.identity)
        #expect(a.identifies(sameLogicalUnitAs: b))
    }

    @Test func sameLogicalUnit() {
        let all = DeviceIdentification(designators: [t10, eui, extended])
        let onlyEUI = DeviceIdentification(designators: [eui])
        let onlyT10 = DeviceIdentification(designators: [t10])
        let otherExtended = DeviceIdentification(
            designators: [t10, eui, unit(.naa, .binary, [0x61] + Self.naa6.dropFirst())])
        let none = DeviceIdentification(designators: [])
        #expect(all.identifies(sameLogicalUnitAs: all))
        // A name unique worldwide that both have, although one side has a better one.
        #expect(all.identifies(sameLogicalUnitAs: onlyEUI))
        #expect(onlyEUI.identifies(sameLogicalUnitAs: all))
        // The best differs: the weaker ones do not count.
        #expect(!all.identifies(sameLogicalUnitAs: otherExtended))
        // The vendor's word counts only where neither side has better.
        #expect(onlyT10.identifies(sameLogicalUnitAs: onlyT10))
        #expect(!all.identifies(sameLogicalUnitAs: onlyT10))
        #expect(!onlyT10.identifies(sameLogicalUnitAs: all))
        #expect(!none.identifies(sameLogicalUnitAs: none))
        #expect(!none.identifies(sameLogicalUnitAs: all))
    }

    @Test func aDesignatorBeyondThePageIsRefused() {
        var bytes = Self.page
        bytes[7] = 0xff
        #expect(throws: SCSIDataError.malformed(.vitalProductData, offset: 4)) {
            try parsed(bytes, by: DeviceIdentification.init)
        }
    }

    @Test func aTruncatedPageSaysHowMuchToAskFor() {
        #expect(throws: SCSIDataError.truncated(.vitalProductData, need: 90, have: 64)) {
            try parsed(Array(Self.page.prefix(64)), by: DeviceIdentification.init)
        }
    }
}
