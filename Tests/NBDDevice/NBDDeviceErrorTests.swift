import Glibc
import Testing

@testable import NBDDevice

@Suite struct NBDDeviceErrorTests {
    @Test func everyErrorSaysWhatToDo() {
        let expected: [(NBDDeviceError, [String])] = [
            (
                .moduleAbsent(detail: "Module nbd not found"),
                ["Module nbd not found", "Install the modules of the running kernel", "Unix socket"]
            ),
            (
                .moduleAbsent(detail: "could not insert 'nbd': Operation not permitted"),
                ["Operation not permitted", "modprobe nbd", "Unix socket"]
            ),
            (.familyHidden, ["network namespace", "6.12"]),
            (.refused(.connect, index: 4, errno: EPERM), ["nbd4", "root", "CAP_SYS_ADMIN"]),
            (.refused(.connect, index: 4, errno: EBUSY), ["nbd4", "busy", "fuser -v /dev/nbd4"]),
            (.refused(.connect, index: nil, errno: EINVAL), ["an NBD device", "invalid argument", "dmesg"]),
            (.refused(.reconnect, index: 2, errno: EINVAL), ["still open", "backend identifier"]),
            (.refused(.disconnect, index: 2, errno: EINVAL), ["no such device"]),
            (.refused(.status, index: nil, errno: EIO), ["(\(EIO))"]),
            (.system(call: "open", subject: "/dev/nbd0", errno: EACCES), ["open", "/dev/nbd0", "root"]),
            (.inUse(index: 1), ["/dev/nbd1", "in use", "unmount", "--force"]),
            (.noDevice(index: 1), ["nbd1"]),
            (.invalid(.connect, reason: "a size of 0 bytes"), ["connect", "a size of 0 bytes"]),
            (.unexpected(path: "/sys/x", content: "y"), ["/sys/x", "\"y\""]),
            (.replyWithoutIndex, ["causeway list"]),
            (.helperFailed(.exited(status: 3)), ["status 3"]),
            (.helperFailed(.signalled(signal: 9)), ["signal 9"]),
            (.helperFailed(.unintelligible), ["no sense"]),
        ]
        for (error, words) in expected {
            for word in words {
                #expect(error.description.contains(word), "\(error) lacks \"\(word)\"")
            }
        }
    }

    @Test func aFolderThatNobodyMayEnterHidesTheModules() {
        let fixture = Fixture()
        fixture.folder("modules")
        let folder = fixture.root + "/modules"
        #expect(!NBDModule.areHidden(in: folder))
        chmod(folder, 0)
        #expect(NBDModule.areHidden(in: folder))
        #expect(!NBDModule.areHidden(in: fixture.root + "/nothing"))
        let error = NBDDeviceError.moduleAbsent(detail: NBDDeviceError.modulesHidden)
        #expect(error.moduleIsInstalled == nil)
        #expect("\(error)".contains("Type: modprobe nbd. Install the modules"))
    }

    @Test func errnoIsKept() {
        #expect(NBDDeviceError.refused(.connect, index: nil, errno: 22).errno == 22)
        #expect(NBDDeviceError.inUse(index: 0).errno == EBUSY)
        #expect(NBDDeviceError.familyHidden.errno == nil)
    }

    @Test func requestsAreCheckedBeforeTheKernelIsAsked() {
        func request(
            size: UInt64 = 1 << 20, block: UInt32 = 512, flags: NBDServerFlags = .hasFlags,
            backend: String = "b",
            sockets: [Int32] = [4]
        ) -> String? {
            ConnectRequest(
                sizeBytes: size, blockSizeBytes: block, deadConnectionTimeoutSeconds: 1, serverFlags: flags,
                backendIdentifier: backend, sockets: sockets
            ).fault
        }
        #expect(request() == nil)
        #expect(request(sockets: [4, 5]) != nil)
        #expect(request(flags: .canMultiConn, sockets: [4, 5]) == nil)
        for fault in [
            request(size: 0), request(size: 1 << 63), request(size: 513), request(block: 0),
            request(block: 256),
            request(block: 3072), request(block: 1 << 20), request(backend: ""), request(backend: "a b"),
            request(backend: "line\n"), request(backend: String(repeating: "x", count: 256)),
            request(sockets: []),
            request(sockets: [-1]),
        ] {
            #expect(fault != nil)
        }
    }
}
