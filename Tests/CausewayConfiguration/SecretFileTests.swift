import CausewayCore
import Glibc
import LinuxSystem
import Testing

@testable import CausewayConfiguration

@Suite struct SecretFileTests {
    /// A file of its own for each test, with this content and mode.
    final class Secret {
        let path: String
        init(_ content: String, mode: mode_t = 0o600) throws {
            var template = Array("/tmp/causeway-secret.XXXXXX".utf8CString)
            close(mkstemp(&template))
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            try SmallFile.write(content, to: path)
            chmod(path, mode)
        }
        deinit { unlink(path) }
    }

    static func text(_ secret: CHAPSecret) -> String {
        secret.withBytes { String(decoding: $0, as: UTF8.self) }
    }

    static func reason(_ path: String, owner: uid_t = geteuid()) -> SecretError.Reason? {
        do {
            _ = try SecretFile.read(.file(path), owner: owner)
            return nil
        } catch {
            return error.reason
        }
    }

    static func reason(of content: String) throws -> SecretError.Reason? {
        let file = try Secret(content)
        return withExtendedLifetime(file) { reason(file.path) }
    }

    @Test(arguments: [
        ("twelve bytes", "twelve bytes"), ("twelve bytes\n", "twelve bytes"),
        ("twelve bytes\r\n", "twelve bytes"), (" with blanks ", " with blanks "),
    ])
    func `A secret is one line`(content: String, expected: String) throws {
        let file = try Secret(content)
        let secret = try SecretFile.read(.file(file.path), owner: geteuid())
        #expect(Self.text(secret) == expected)
    }

    @Test(arguments: [0o640, 0o604, 0o660, 0o601, 0o644, 0o610] as [mode_t])
    func `A file that others can reach is refused`(mode: mode_t) throws {
        let file = try Secret("twelve bytes", mode: mode)
        #expect(Self.reason(file.path) == .mode(mode))
    }

    @Test func `What is wrong is told, and nothing of the secret`() throws {
        let file = try Secret("twelve bytes")
        #expect(Self.reason(file.path, owner: geteuid() + 1) == .owner(geteuid()))
        #expect(try Self.reason(of: "elevenbytes") == .length(11))
        #expect(try Self.reason(of: "") == .length(0))
        #expect(try Self.reason(of: String(repeating: "x", count: 1025)) == .length(1025))
        #expect(try Self.reason(of: String(repeating: "x", count: 9000)) == .length(4096))
        #expect(try Self.reason(of: "first line\nsecond line") == .severalLines)
        #expect(try Self.reason(of: "a NUL\0in the text") == .severalLines)
        #expect(Self.reason("/tmp") == .notAFile)
        #expect(Self.reason("/dev/null") == .notAFile)
        let absent = try SecretError("/no/such", #require(Self.reason("/no/such")))
        #expect("\(absent)".contains("/no/such"))
        for reason in [
            SecretError.Reason.mode(0o644), .owner(7), .length(3), .severalLines, .notAFile, .noCredentials,
        ] {
            #expect("\(SecretError("place", reason))".contains("place"))
        }
    }

    @Test func `A pipe does not hold it up`() throws {
        let path = "/tmp/causeway-secret-pipe.\(getpid())"
        #expect(mkfifo(path, 0o600) == 0)
        defer { unlink(path) }
        #expect(Self.reason(path) == .notAFile)
    }

    @Test func `A credential is a file in systemd's folder`() throws {
        let file = try Secret("twelve bytes", mode: 0o400)
        let parts = file.path.split(separator: "/")
        let secret = try SecretFile.read(.credential(String(parts[1])), credentials: "/tmp", owner: geteuid())
        #expect(Self.text(secret) == "twelve bytes")
        #expect(throws: SecretError("array", .noCredentials)) {
            try SecretFile.read(.credential("array"), credentials: nil)
        }
    }

    @Test func `Its memory is left out of dumps`() throws {
        let file = try Secret("twelve bytes")
        let secret = try SecretFile.read(.file(file.path), owner: geteuid())
        let start = secret.withBytes { UInt(bitPattern: $0.baseAddress) }
        let maps = try SmallFile.read("/proc/self/smaps", limit: 64 << 20)
        let wanted = String(start, radix: 16) + "-"
        let lines = maps.split(separator: "\n").drop { !$0.hasPrefix(wanted) }
        let flags = try #require(lines.first { $0.hasPrefix("VmFlags:") })
        #expect(flags.split(separator: " ").contains("dd"))
        #expect(flags.split(separator: " ").contains("wf"))
    }
}
