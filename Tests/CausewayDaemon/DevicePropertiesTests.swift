import CausewayControl
import CausewayCore
import Glibc
import Testing

@testable import CausewayDaemon

@Suite struct DevicePropertiesTests {
    private let target = try? ISCSIName("iqn.2026-01.example:array")

    /// A LUN as a target might describe it.
    private func properties(
        vendor: String, product: String, designator: Designator, serial: String?, lun: UInt64 = 0,
        portals: [String] = []
    ) throws -> DeviceProperties {
        var inquiry = [UInt8](repeating: 0, count: 36)
        inquiry[4] = 31
        inquiry.replaceSubrange(8..<16, with: (vendor + "        ").utf8.prefix(8))
        inquiry.replaceSubrange(16..<32, with: (product + String(repeating: " ", count: 16)).utf8.prefix(16))
        inquiry.replaceSubrange(32..<36, with: "1.0 ".utf8)
        return DeviceProperties(
            name: try DiskName("data"), target: try #require(target), lun: lun, portals: portals,
            inquiry: try InquiryData(inquiry.span.bytes),
            unitSerial: serial.map { TargetText(Array($0.utf8)) },
            identity: try #require(LogicalUnitIdentity(designator)))
    }

    private func lines(_ properties: DeviceProperties) -> [Substring] {
        properties.properties.split(separator: "\n")
    }

    @Test func aRegisteredNameGivesTheLinksOfASCSIDisk() throws {
        let name: [UInt8] = [
            0x60, 0x01, 0x40, 0x5a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12,
        ]
        let properties = try properties(
            vendor: "LIO-ORG", product: "a disk",
            designator: Designator(association: .logicalUnit, kind: .naa, codeSet: .binary, bytes: name),
            serial: "abc 1", lun: 3, portals: ["10.0.1.1:3260", "[2001:db8::1]:3260", "10.0.1.1:3260"])
        let known = lines(properties)
        #expect(known.contains("ID_SERIAL=36001405abcdef0123456789abcdef012"))
        #expect(known.contains("ID_SERIAL_SHORT=6001405abcdef0123456789abcdef012"))
        #expect(known.contains("ID_WWN=0x6001405abcdef012"))
        #expect(known.contains("ID_WWN_VENDOR_EXTENSION=0x3456789abcdef012"))
        #expect(known.contains("ID_WWN_WITH_EXTENSION=0x6001405abcdef0123456789abcdef012"))
        #expect(known.contains("ID_VENDOR=LIO-ORG"))
        #expect(known.contains("ID_MODEL=a_disk"))
        #expect(known.contains("ID_SCSI_SERIAL=abc_1"))
        #expect(known.contains("CAUSEWAY_NAME=data"))
        #expect(
            properties.links == """
                disk/by-id/scsi-36001405abcdef0123456789abcdef012 \
                disk/by-id/wwn-0x6001405abcdef0123456789abcdef012 \
                disk/by-path/ip-10.0.1.1:3260-iscsi-iqn.2026-01.example:array-lun-3 \
                disk/by-path/ip-2001:db8::1:3260-iscsi-iqn.2026-01.example:array-lun-3

                """)
    }

    /// What a target calls itself must not reach udev as anything but text.
    @Test func aHostileNameIsOnlyText() throws {
        let text = "A\"\n$(reboot) %c/../x"
        let properties = try properties(
            vendor: "a\nID=b", product: "'; rm -rf / #",
            designator: Designator(
                association: .logicalUnit, kind: .t10VendorID, codeSet: .ascii,
                bytes: Array(("VENDOR  " + text).utf8)), serial: "\u{7f}\u{1}")
        for line in lines(properties) {
            let parts = line.split(separator: "=", omittingEmptySubsequences: false)
            #expect(parts.count == 2)
            #expect(parts[1].allSatisfy { $0.isLetter || $0.isNumber || "-.:+@_".contains($0) })
        }
        let names = properties.links.split(whereSeparator: \.isWhitespace)
        #expect(names.count == 1)
        #expect(names[0].hasPrefix("disk/by-id/scsi-1VENDOR"))
        #expect(!names[0].dropFirst("disk/by-id/".count).contains("/"))
    }

    @Test func recordsAreWrittenWholeAndRemoved() throws {
        var template = Array("/tmp/causeway-devices-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        defer {
            rmdir(folder + "/udev")
            rmdir(folder)
        }
        let records = DeviceRecords(stateDirectory: folder)
        let name = try DiskName("data")
        let properties = try properties(
            vendor: "V", product: "P",
            designator: Designator(
                association: .logicalUnit, kind: .eui64, codeSet: .binary, bytes: [1, 2, 3, 4, 5, 6, 7, 8]),
            serial: nil)
        try records.write(properties, for: name)
        try records.write(properties, for: name)
        let file = try #require(fopen(folder + "/udev/data", "r"))
        var text = [UInt8](repeating: 0, count: 4096)
        let count = fread(&text, 1, text.count, file)
        fclose(file)
        #expect(String(decoding: text[..<count], as: UTF8.self) == properties.properties)
        #expect(access(folder + "/udev/data.links", F_OK) == 0)
        #expect(access(folder + "/udev/data.new", F_OK) != 0)
        records.remove(name)
        #expect(access(folder + "/udev/data", F_OK) != 0)
        #expect(access(folder + "/udev/data.links", F_OK) != 0)
    }
}
