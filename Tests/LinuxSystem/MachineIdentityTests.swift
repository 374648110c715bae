import Glibc
import Testing

@testable import LinuxSystem

@Suite struct MachineIdentityTests {
    func machineID(_ content: String) throws -> String {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/machine-id"
        close(open(path, O_CREAT | O_WRONLY, 0o644))
        try SmallFile.write(content, to: path)
        return try MachineIdentity.machineID(path: path)
    }

    @Test func readsTheMachineID() throws {
        #expect(try machineID("0123456789abcdef0123456789abcdef\n") == "0123456789abcdef0123456789abcdef")
        #expect(try machineID("0123456789ABCDEF0123456789abcdef") == "0123456789abcdef0123456789abcdef")
    }

    @Test(arguments: [
        "uninitialized\n", "\n", "0123\n", "00000000000000000000000000000000\n",
        "0123456789abcdef0123456789abcdeg\n",
    ])
    func refusesWhatIsNone(content: String) {
        let error = #expect(throws: SystemError.self) { try machineID(content) }
        #expect(error?.description.contains("systemd-machine-id-setup") == true)
    }

    @Test func aMissingFileIsAnError() {
        let error = #expect(throws: SystemError.self) { try MachineIdentity.machineID(path: "/nonexistent") }
        #expect(error?.errno == .noSuchFile)
    }

    @Test(.enabled(if: isRoot, needsRoot))
    func namespacesDiffer() throws {
        let here = try MachineIdentity.networkNamespace()
        #expect(try MachineIdentity.networkNamespace() == here)
        let there = try inNewNetworkNamespace { try MachineIdentity.networkNamespace() }
        #expect(here != there)
    }

    @Test func aFileThatIsTooLongIsAnError() throws {
        #expect(throws: SystemError.self) { try SmallFile.read("/proc/self/status", limit: 16) }
        #expect(try SmallFile.read("/proc/self/status").contains("Name:"))
    }
}
