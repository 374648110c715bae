import Glibc
import Testing

@testable import NBDDevice

@Suite struct DeviceUserTests {
    let fixture = Fixture()

    @Test func mountInfoLine() throws {
        let entry = try #require(
            MountInfoEntry(
                "36 35 43:96 /sub /mnt/my\\040disk\\134x rw,noatime shared:1 master:2 - ext4 /dev/nbd3 rw"
            ))
        #expect(entry.number == DeviceNumber(major: 43, minor: 96))
        #expect(entry.mountPoint == "/mnt/my disk\\x")
        #expect(entry.fileSystem == "ext4")
        #expect(entry.source == "/dev/nbd3")
    }

    @Test(arguments: [
        "", "36 35", "36 35 43 / /mnt rw - ext4 /dev/nbd0 rw",
        "36 35 43:0 / /mnt rw shared:1 ext4 /dev/nbd0 rw",
        "36 35 43:0 / /mnt rw -", "- - - - - -",
    ])
    func brokenMountInfoLine(_ line: String) {
        #expect(MountInfoEntry(line) == nil)
    }

    @Test(arguments: [
        ("plain", "plain"), ("a\\040b", "a b"), ("\\134040", "\\040"), ("end\\04", "end\\04"), ("\\", "\\"),
        ("\\999", "\\999"), ("\\303\\244", "ä"),
    ])
    func octal(_ escaped: String, _ text: String) {
        #expect(unescapedOctal(escaped) == text)
    }

    @Test func findsEveryKindOfUser() {
        fixture.device(0)
        fixture.file("sys/block/nbd0/nbd0p1/dev", "43:1\n")
        fixture.file("sys/block/nbd0/nbd0p2/dev", "259:4\n")
        fixture.folder("sys/block/nbd0/nbd0p2/holders/dm-0")
        fixture.file("sys/block/dm-0/dm/name", "crypt\n")
        fixture.device(1)
        fixture.file(
            "proc/self/mountinfo",
            """
            22 1 8:1 / / rw - ext4 /dev/sda1 rw
            30 22 43:1 / /srv/data\\040one rw,relatime shared:9 - xfs /dev/nbd0p1 rw
            31 22 43:32 / /other rw - ext4 /dev/nbd1 rw
            32 22 0:51 /vol /srv/btrfs rw - btrfs /dev/nbd0 rw,subvol=/vol
            33 22 0:52 / /net rw - nfs4 server:/dev/nbd0 rw

            """)
        fixture.link("proc/self/ns/mnt", to: "mnt:[1]")
        fixture.file(
            "proc/swaps",
            "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/nbd0p2   partition\t1023996\t\t0\t\t-2\n")
        // A process that shares our mounts and has the disk open twice, one in a container, one that is
        // elsewhere.
        fixture.link("proc/100/ns/mnt", to: "mnt:[1]")
        fixture.file("proc/100/mountinfo", "30 22 43:1 / /must-not-be-listed-again rw - xfs /dev/nbd0p1 rw\n")
        fixture.file("proc/100/comm", "dd\n")
        fixture.link("proc/100/fd/0", to: "/dev/null")
        fixture.link("proc/100/fd/3", to: "/dev/nbd0")
        fixture.link("proc/100/fd/4", to: "/dev/nbd0")
        fixture.link("proc/200/ns/mnt", to: "mnt:[2]")
        // Its copy of a mount of ours is that mount.
        fixture.file(
            "proc/200/mountinfo",
            "9 8 43:1 / /data rw - xfs /dev/nbd0p1 rw\n"
                + "10 8 43:1 / /srv/data\\040one rw - xfs /dev/nbd0p1 rw\n")
        fixture.link("proc/201/ns/mnt", to: "mnt:[2]")
        fixture.file("proc/201/mountinfo", "9 8 43:1 / /data rw - xfs /dev/nbd0p1 rw\n")
        fixture.link("proc/300/fd/3", to: "/dev/nbd01")
        fixture.link("proc/300/fd/4", to: "/home/dev/nbd0")
        fixture.link("proc/300/fd/5", to: "socket:[1]")

        #expect(
            DeviceUser.find(of: KernelDevice(index: 0, in: fixture.system)) == [
                .mount(point: "/srv/data one", device: "nbd0p1", seenBy: nil),
                .mount(point: "/srv/btrfs", device: "nbd0", seenBy: nil),
                .swap(device: "nbd0p2"),
                .holder("dm-0", label: "crypt", device: "nbd0p2"),
                .opener(pid: 100, command: "dd", device: "nbd0"),
                .mount(point: "/data", device: "nbd0p1", seenBy: 200),
            ])
    }

    @Test func anUnusedDeviceHasNoUsers() {
        fixture.device(0)
        #expect(DeviceUser.find(of: KernelDevice(index: 0, in: fixture.system)).isEmpty)
    }

    @Test func words() {
        #expect(
            DeviceUser.mount(point: "/srv", device: "nbd0p1", seenBy: nil).description
                == "nbd0p1 is mounted on /srv")
        #expect(
            DeviceUser.mount(point: "/a", device: "nbd0", seenBy: 7).description
                == "nbd0 is mounted on /a in the mount namespace of process 7")
        #expect(DeviceUser.swap(device: "nbd0").description == "nbd0 is swap space (swapoff /dev/nbd0)")
        #expect(
            DeviceUser.holder("dm-0", label: "vg-lv", device: "nbd0").description
                == "nbd0 is used by vg-lv (dm-0)")
        #expect(
            DeviceUser.opener(pid: 3, command: "dd", device: "nbd0").description
                == "nbd0 is open in process 3 (dd)")
    }
}
