import Glibc
import Testing

@testable import NBDDevice

@Suite struct KernelDeviceTests {
    let fixture = Fixture()

    @Test func readsAConnectedDevice() throws {
        fixture.device(3, backend: "causeway:disk-a")
        let device = KernelDevice(index: 3, in: fixture.system)
        #expect(device.exists)
        #expect(device.pid == 4711)
        #expect(device.isConfigured)
        #expect(device.backendIdentifier == "causeway:disk-a")
        #expect(try device.sizeBytes == 1 << 20)
        #expect(try device.isReadOnly == false)
        #expect(try device.logicalBlockSizeBytes == 4096)
        #expect(try device.number == DeviceNumber(major: 43, minor: 96))
        #expect(try device.inFlight == (3, 4))
        #expect(device.node == fixture.root + "/dev/nbd3")
    }

    @Test func anIdleDeviceIsNotConfigured() throws {
        fixture.file("sys/block/nbd0/dev", "43:0\n")
        fixture.file("sys/block/nbd0/size", "0\n")
        let device = KernelDevice(index: 0, in: fixture.system)
        #expect(device.exists)
        #expect(device.pid == nil)
        #expect(!device.isConfigured)
        #expect(device.backendIdentifier == nil)
    }

    @Test func anAbsentDeviceSaysSo() {
        let device = KernelDevice(index: 9, in: fixture.system)
        #expect(!device.exists)
        #expect(throws: NBDDeviceError.noDevice(index: 9)) { try device.sizeBytes }
        #expect(throws: NBDDeviceError.noDevice(index: 9)) { try device.announceChange() }
        #expect(device.waitUntilGone(timeLimitMilliseconds: 0))
        #expect(!device.waitForNode(timeLimitMilliseconds: 0))
    }

    @Test func listsDevicesByNumberAndNothingElse() {
        for index in [10, 2, 0] { fixture.device(index) }
        fixture.folder("sys/block/sda")
        fixture.folder("sys/block/nbdx")
        #expect(KernelDevice.all(in: fixture.system).map(\.index) == [0, 2, 10])
    }

    @Test func appliesQueueSettings() throws {
        fixture.device(0)
        let device = KernelDevice(index: 0, in: fixture.system)
        let now = try device.apply(
            QueueSettings(
                ioTimeoutMilliseconds: 5000, maxSectorsKilobytes: 1024, readAheadKilobytes: 4096,
                rotational: true))
        #expect(now.ioTimeoutMilliseconds == 5000)
        #expect(now.maxSectorsKilobytes == 1024)
        #expect(now.readAheadKilobytes == 4096)
        #expect(now.rotational == true)
        #expect(now.scheduler == "none")
    }

    @Test func maxSectorsStaysWithinWhatTheDriverTakes() throws {
        fixture.device(0)
        let device = KernelDevice(index: 0, in: fixture.system)
        #expect(try device.apply(QueueSettings(maxSectorsKilobytes: 1 << 20)).maxSectorsKilobytes == 32768)
        fixture.device(1)
        let other = KernelDevice(index: 1, in: fixture.system)
        let page = UInt32(sysconf(Int32(_SC_PAGESIZE)) / 1024)
        #expect(try other.apply(QueueSettings(maxSectorsKilobytes: 1)).maxSectorsKilobytes == page)
    }

    @Test func nilLeavesSettingsAlone() throws {
        fixture.device(0)
        let device = KernelDevice(index: 0, in: fixture.system)
        #expect(try device.apply(QueueSettings()) == device.queueSettings())
        #expect(try device.queueSettings().ioTimeoutMilliseconds == 30000)
    }

    @Test func announcesAChange() throws {
        fixture.device(0)
        fixture.file("sys/block/nbd0/nbd0p2/dev", "43:2\n")
        fixture.file("sys/block/nbd0/nbd0p2/uevent", "")
        try KernelDevice(index: 0, in: fixture.system).announceChange()
        #expect(fixture.content("sys/block/nbd0/uevent") == "change")
        #expect(fixture.content("sys/block/nbd0/nbd0p2/uevent") == "change")
    }

    @Test func strangeContentIsNamed() {
        fixture.device(0)
        fixture.file("sys/block/nbd0/size", "many\n")
        let path = fixture.root + "/sys/block/nbd0/size"
        #expect(throws: NBDDeviceError.unexpected(path: path, content: "many")) {
            try KernelDevice(index: 0, in: fixture.system).sizeBytes
        }
    }

    @Test(arguments: [
        ("[none] mq-deadline", "none"), ("none [mq-deadline] bfq ", "mq-deadline"), ("none", "none"),
    ])
    func chosenScheduler(_ text: String, _ name: String) {
        #expect(KernelDevice.chosen(among: text) == name)
    }

    @Test func holdersOfDiskAndPartitions() {
        fixture.device(0)
        fixture.file("sys/block/nbd0/nbd0p1/dev", "43:1\n")
        fixture.folder("sys/block/nbd0/holders/md127")
        fixture.folder("sys/block/nbd0/nbd0p1/holders/dm-2")
        fixture.file("sys/block/dm-2/dm/name", "vg0-home\n")
        #expect(
            KernelDevice(index: 0, in: fixture.system).holders() == [
                .holder("md127", label: nil, device: "nbd0"),
                .holder("dm-2", label: "vg0-home", device: "nbd0p1"),
            ])
    }

    @Test func claimOfAMissingNode() {
        #expect(throws: NBDDeviceError.noDevice(index: 0)) {
            _ = try ExclusiveClaim(on: KernelDevice(index: 0, in: fixture.system))
        }
    }
}
