import Testing

@testable import NBDDevice

@Suite struct PresentDiskTests {
    @Test func isFoundByAnyOfItsNames() {
        let fixture = Fixture()
        fixture.file("sys/block/sda/device/wwid", "t10.ATA     DISK 1\n")
        fixture.file("sys/block/sdb/device/wwid", "naa.6001405caeaab0000000000000000000\n")
        fixture.file("sys/block/nbd0/size", "0\n")
        let wwids: Set = ["eui.0011223344556677", "naa.6001405caeaab0000000000000000000"]
        #expect(
            PresentDisk.find(wwids: wwids, in: fixture.system)
                == PresentDisk(name: "sdb", wwid: "naa.6001405caeaab0000000000000000000"))
        #expect(PresentDisk.find(wwids: ["naa.5000000000000001"], in: fixture.system) == nil)
    }

    @Test func noBlockDevicesAtAll() {
        #expect(PresentDisk.find(wwids: ["naa.5"], in: Fixture().system) == nil)
    }
}
