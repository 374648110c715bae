import CausewayControl
import Testing

/// What people are told, where one word more or less decides whether they can help themselves.
@Suite struct SentenceTests {
    private static let host = "iqn.2001-04.com.example:host"

    private func refused(
        _ statusClass: UInt8, _ statusDetail: UInt8, target: String? = Samples.iqn, interface: String? = nil
    ) -> ControlError {
        .loginRefused(
            target, portal: Samples.portal, interface: interface, initiator: Self.host,
            statusClass: statusClass, statusDetail: statusDetail, reason: "why")
    }

    @Test func aRefusedLoginSaysWhoWhereAndTheStatus() {
        #expect(
            refused(2, 2, interface: "eth1").message
                == "the portal 10.0.1.1:3260 through eth1 refused the login to \(Samples.iqn): why "
                + "(login status 0202)")
        #expect(
            refused(3, 0x0a, target: nil).message
                == "the portal 10.0.1.1:3260 refused the login of a discovery session: why "
                + "(login status 030a)"
        )
        #expect(refused(2, 2).statusClass == 2)
        #expect(refused(2, 3).statusDetail == 3)
    }

    /// RFC 7143 §11.13.5, and LIO, which answers 0301 to the name of a target that it does not have.
    @Test(
        arguments: [
            (2, 1, "the initiator name iqn.2001-04.com.example:host and its CHAP user and secret"),
            (2, 2, "the initiator name to allow on the target is iqn.2001-04.com.example:host"),
            (2, 3, "check the target's name with: causeway discover 10.0.1.1:3260"),
            (3, 1, "check the target's name with: causeway discover 10.0.1.1:3260"),
            (2, 6, "allows no more connections"), (3, 0, "trouble of its own"), (3, 2, "out of resources"),
            (1, 1, "redirects"), (9, 9, "log says more"),
        ] as [(UInt8, UInt8, String)])
    func theRemedyOfARefusedLogin(statusClass: UInt8, statusDetail: UInt8, words: String) {
        #expect(refused(statusClass, statusDetail).remedy.contains(words))
    }

    @Test func aModuleThatIsNotInstalledCannotBeLoaded() {
        let absent = ControlError.nbdModuleAbsent(reason: "Module nbd not found", isInstalled: false)
        #expect(absent.message == "the kernel's nbd module is not loaded: Module nbd not found")
        #expect(absent.remedy.contains("linux-image-$(uname -r)"))
        #expect(!absent.remedy.contains("modprobe"))
        #expect(absent.remedy.contains("--socket"))
        #expect(
            ControlError.nbdModuleAbsent().remedy
                == "load it with: modprobe nbd; or export the disk on a Unix socket with --socket PATH")
        let unknown = ControlError.nbdModuleAbsent(isInstalled: nil).remedy
        #expect(unknown.contains("modprobe nbd; if that finds none, install"))
        #expect(unknown.contains("linux-image-$(uname -r)"))
    }
}
