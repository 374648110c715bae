import Testing

@testable import CausewayCore

@Suite struct ISCSINameTests {
    private func error(_ text: String) -> ISCSINameError? {
        do throws(ISCSINameError) { _ = try ISCSIName(text) } catch { return error }
        return nil
    }

    @Test(arguments: [
        "iqn.2001-04.com.example:storage:diskarrays-sn-a8675309", "iqn.2001-04.com.example",
        "eui.02004567A425678D", "naa.52004567BA64678D", "naa.62004567BA64678D0123456789ABCDEF",
        "iqn.2003-01.org.linux-iscsi.my_host:sn.1", "iqn.1993-08.org.debian:01:straße",
    ])
    func valid(_ text: String) throws {
        #expect(try ISCSIName(text).text == text)
    }

    @Test func invalid() {
        #expect(error("") == .empty)
        #expect(error("iqn." + String(repeating: "a", count: 219)) == nil)
        #expect(error("iqn." + String(repeating: "a", count: 220)) == .tooLong(bytes: 224))
        #expect(error("disk1") == .unknownType("disk1"))
        #expect(error("iqn.") == .nothingAfterType("iqn."))
        #expect(error("iqn.a b") == .illegalCharacter(" ", in: "iqn.a b"))
        #expect(error("iqn.a\u{1b}[2J") == .illegalCharacter("\u{1b}", in: "iqn.a\u{1b}[2J"))
        #expect(error("iqn.a\u{202e}b") == .illegalCharacter("\u{202e}", in: "iqn.a\u{202e}b"))
        #expect(error("iqn.a/b") == .illegalCharacter("/", in: "iqn.a/b"))
        #expect(error("eui.0200456") == .notEUI64("eui.0200456"))
        #expect(error("naa.5200") == .notNAA("naa.5200"))
        #expect(error("naa.52004567BA64678G") == .notNAA("naa.52004567BA64678G"))
    }

    @Test func caseIsKeptButDoesNotDistinguish() throws {
        let typed = try ISCSIName("IQN.2001-04.com.Example:Disk")
        let canonical = try ISCSIName("iqn.2001-04.com.example:disk")
        #expect(typed == canonical && typed.hashValue == canonical.hashValue)
        #expect(typed.text == "IQN.2001-04.com.Example:Disk")
        #expect(typed.authority == .qualified)
    }

    @Test func dateCode() throws {
        #expect(try ISCSIName("iqn.2001-04.com.example").hasDateCode)
        for text in [
            "iqn.2001-13.com.example", "iqn.2001-00.x.y", "iqn.disk", "iqn.2001-4.com", "iqn.2001-04.",
            "eui.02004567A425678D",
        ] {
            #expect(try !ISCSIName(text).hasDateCode, "\(text)")
        }
    }

    @Test func printableText() {
        #expect(printable("plain text-1") == "plain text-1")
        #expect(printable("a\u{1b}[31mb\n\0\"\\") == "a\\u{1b}[31mb\\u{a}\\u{0}\\\"\\\\")
        #expect(printable("é\u{202e}") == "é\\u{202e}")
        #expect(printable("abcdef", limit: 3) == "abc…")
    }
}
