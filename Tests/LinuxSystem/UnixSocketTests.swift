import CLinux
import Glibc
import Testing

@testable import LinuxSystem

@Suite struct UnixSocketTests {
    func mode(_ path: String) -> UInt32 {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    @Test func listensForItsOwnerOnly() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/disk.sock"
        let listener = try UnixListener(path: path)
        #expect(listener.path == path)
        #expect(mode(path) == 0o600)
        if let someone = try listener.accept() { Issue.record("descriptor \(someone.rawValue)") }
        let near = try connectUnix(path: path)
        let far = try accepted(listener.rawValue)
        #expect(sendText("hello", on: near.rawValue) == 5)
        #expect(try receiveText(on: far.rawValue) == "hello")
        let peer = try PeerCredentials(of: far.rawValue)
        #expect(peer.processID == getpid())
        #expect(peer.userID == geteuid())
        #expect(peer.groupID == getegid())
        listener.closeAndRemove()
        #expect(access(path, F_OK) != 0)
    }

    @Test func aGroupMayBeLetIn() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/control"
        let listener = try UnixListener(path: path, mode: 0o660, group: getegid())
        #expect(mode(path) == 0o660)
        #expect(listener.rawValue >= 0)
    }

    @Test func aLivingSocketIsInUse() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/disk.sock"
        let listener = try UnixListener(path: path)
        let error = #expect(throws: SystemError.self) { _ = try UnixListener(path: path).rawValue }
        #expect(error?.errno == .addressInUse)
        #expect(error?.description.contains("another program listens there") == true)
        // The first is unharmed.
        let near = try connectUnix(path: path)
        let far = try accepted(listener.rawValue)
        #expect(far.rawValue >= 0)
        #expect(near.rawValue >= 0)
    }

    @Test func anAbandonedSocketIsReplaced() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/disk.sock"
        do {
            let dead = try UnixListener(path: path)
            #expect(dead.rawValue >= 0)
        }
        #expect(access(path, F_OK) == 0)
        let listener = try UnixListener(path: path)
        let near = try connectUnix(path: path)
        let far = try accepted(listener.rawValue)
        #expect(far.rawValue >= 0)
        #expect(near.rawValue >= 0)
    }

    @Test func nothingButASocketIsReplaced() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/file"
        close(open(path, O_CREAT | O_WRONLY, 0o644))
        try SmallFile.write("precious", to: path)
        let error = #expect(throws: SystemError.self) { _ = try UnixListener(path: path).rawValue }
        #expect(error?.errno == .fileExists)
        #expect(try SmallFile.read(path) == "precious")
        // Nor what a symbolic link leads to.
        let link = "\(directory.path)/link"
        #expect(symlink("\(directory.path)/nowhere", link) == 0)
        #expect(throws: SystemError.self) { _ = try UnixListener(path: link).rawValue }
        #expect(access("\(directory.path)/nowhere", F_OK) != 0)
    }

    @Test func theNameOfAnotherIsNotRemoved() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/disk.sock"
        let first = try UnixListener(path: path)
        unlink(path)
        let second = try UnixListener(path: path)
        first.closeAndRemove()
        #expect(access(path, F_OK) == 0)
        second.closeAndRemove()
        #expect(access(path, F_OK) != 0)
    }

    @Test(arguments: [
        "relative", "@abstract", "", "/tmp/a\u{0}b", "/tmp/" + String(repeating: "x", count: 103),
        "/nonexistent-directory/x",
    ])
    func impossiblePathsAreErrors(path: String) {
        #expect(throws: SystemError.self) { _ = try UnixListener(path: path).rawValue }
    }

    @Test func aPathOf107BytesFits() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/" + String(repeating: "x", count: 106 - directory.path.utf8.count)
        let listener = try UnixListener(path: path)
        #expect(try connectUnix(path: path).rawValue >= 0)
        listener.closeAndRemove()
    }
}
