import CausewayCore
import Glibc
import LinuxSystem
import Testing

@testable import CausewayDaemon

/// Where the initiator's name comes from.
@Suite struct InitiatorNameTests {
    /// A folder that is removed with everything in it.
    final class Folder {
        let path: String

        init() throws {
            var template = Array("/tmp/causeway-name-XXXXXX".utf8CString)
            path = try #require(mkdtemp(&template).map { String(cString: $0) })
        }

        deinit {
            for name in ["iscsi", "etc/initiatorname", "machine-id", "etc"] { remove("\(path)/\(name)") }
            rmdir(path)
        }

        func write(_ text: String, to name: String) throws {
            let file = try #require(fopen("\(path)/\(name)", "w"))
            fputs(text, file)
            fclose(file)
        }

        var places: InitiatorName.Places {
            .init(
                openISCSI: "\(path)/iscsi", own: "\(path)/etc/initiatorname",
                machineID: "\(path)/machine-id")
        }
    }

    static let machineID = "0123456789abcdef0123456789abcdef\n"

    @Test func `An option goes before every file`() throws {
        let folder = try Folder()
        try folder.write("InitiatorName=iqn.1993-08.org.debian:01:a\n", to: "iscsi")
        let name = try InitiatorName.load(override: "iqn.2026-01.test:x", places: folder.places)
        #expect(name.text == "iqn.2026-01.test:x")
    }

    @Test func `open-iscsi's name goes before our own`() throws {
        let folder = try Folder()
        mkdir("\(folder.path)/etc", 0o755)
        try folder.write("InitiatorName=iqn.2026-01.test:own\n", to: "etc/initiatorname")
        #expect(try InitiatorName.load(override: nil, places: folder.places).text == "iqn.2026-01.test:own")
        try folder.write("InitiatorName=iqn.1993-08.org.debian:01:a\n", to: "iscsi")
        let name = try InitiatorName.load(override: nil, places: folder.places)
        #expect(name.text == "iqn.1993-08.org.debian:01:a")
    }

    @Test(arguments: [
        ("InitiatorName=iqn.a:b", "iqn.a:b"), ("\n  InitiatorName = iqn.a:b \t\n", "iqn.a:b"),
        ("# InitiatorName=iqn.a:no\nInitiatorName=iqn.a:b\nInitiatorName=iqn.a:c\n", "iqn.a:b"),
        ("InitiatorAlias=x\r\nInitiatorName=iqn.a:b\r\n", "iqn.a:b"), ("InitiatorName=", ""),
        ("InitiatorName=iqn.a:b=c", "iqn.a:b=c"), ("GenerateName=yes\n", nil), ("", nil),
        ("InitiatorNames=iqn.a:b\n", nil),
    ])
    func `The line with the name is found`(text: String, name: String?) {
        #expect(InitiatorName.name(in: text) == name)
    }

    @Test func `The alias is the configured one, else open-iscsi's, else none`() throws {
        let folder = try Folder()
        #expect(InitiatorName.alias(configured: nil, places: folder.places) == nil)
        try folder.write("InitiatorName=iqn.a:b\nInitiatorAlias= rack 4 \n", to: "iscsi")
        #expect(InitiatorName.alias(configured: nil, places: folder.places) == "rack 4")
        #expect(InitiatorName.alias(configured: "host 2", places: folder.places) == "host 2")
        try folder.write("InitiatorAlias=\n", to: "iscsi")
        #expect(InitiatorName.alias(configured: nil, places: folder.places) == nil)
    }

    @Test func `A name that cannot be used is never passed over`() throws {
        let folder = try Folder()
        try folder.write(Self.machineID, to: "machine-id")
        try folder.write("InitiatorName=debian 1\n", to: "iscsi")
        let error = try #require(throws: InitiatorNameError.self) {
            try InitiatorName.load(override: nil, places: folder.places)
        }
        #expect("\(error)".contains("\(folder.path)/iscsi"))
        #expect("\(error)".contains("debian 1"))
        #expect(throws: InitiatorNameError.self) {
            try InitiatorName.load(override: "", places: folder.places)
        }
        // A folder in the file's place can be opened and not read.
        remove("\(folder.path)/iscsi")
        mkdir("\(folder.path)/iscsi", 0o755)
        #expect(throws: InitiatorNameError.self) {
            try InitiatorName.load(override: nil, places: folder.places)
        }
    }

    @Test func `A name is made of the machine-id, kept, and read again`() throws {
        let folder = try Folder()
        try folder.write(Self.machineID, to: "machine-id")
        // Debian's file before open-iscsi's first start.
        try folder.write("GenerateName=yes\n", to: "iscsi")
        let made = try InitiatorName.load(override: nil, places: folder.places)
        #expect(made.text.hasPrefix("iqn.2026-01.io.causeway:"))
        #expect(made.text.dropFirst(InitiatorName.prefix.count).count == 12)
        #expect(made.hasDateCode)
        var status = stat()
        #expect(stat("\(folder.path)/etc/initiatorname", &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o644)
        // The file counts from now on, even on a machine with another identity.
        try folder.write("f123456789abcdef0123456789abcdef\n", to: "machine-id")
        #expect(try InitiatorName.load(override: nil, places: folder.places) == made)
    }

    @Test func `Where nothing can be written the name is the same every time`() throws {
        let folder = try Folder()
        try folder.write(Self.machineID, to: "machine-id")
        var places = folder.places
        places.own = "/proc/causeway/initiatorname"
        let first = try InitiatorName.load(override: nil, places: places)
        #expect(try InitiatorName.load(override: nil, places: places) == first)
        try folder.write("f123456789abcdef0123456789abcdef\n", to: "machine-id")
        #expect(try InitiatorName.load(override: nil, places: places) != first)
    }

    @Test func `Without a machine-id a random name is made only if it can be kept`() throws {
        let folder = try Folder()
        let first = try InitiatorName.load(override: nil, places: folder.places)
        #expect(first.text.hasPrefix("iqn.2026-01.io.causeway:"))
        #expect(try InitiatorName.load(override: nil, places: folder.places) == first)
        var places = folder.places
        places.own = "/proc/causeway/initiatorname"
        let error = try #require(throws: InitiatorNameError.self) {
            try InitiatorName.load(override: nil, places: places)
        }
        #expect("\(error)".contains("--initiator-name"))
    }
}
