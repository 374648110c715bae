import CausewayControl
import FoundationEssentials
import Testing

/// The description against the models: neither may have a field or an error that the other lacks.
@Suite struct InterfaceDescriptionTests {
    /// `type` and `error` declarations: name to field names.
    private func declarations(_ keyword: String) -> [String: Set<String>] {
        let text = InterfaceDescription.causeway.split(separator: "\n").filter { !$0.hasPrefix("#") }
            .joined(separator: " ")
        var found: [String: Set<String>] = [:]
        for part in text.split(separator: "\(keyword) ").dropFirst() {
            guard let open = part.firstIndex(of: "("), let close = part.firstIndex(of: ")") else { continue }
            let name = part[..<open].filter { $0 != " " }
            let fields = part[part.index(after: open)..<close].split(separator: ",")
            found[name] = Set(fields.map { $0.prefix { $0 != ":" }.filter { $0 != " " } })
        }
        return found
    }

    private func keys(_ value: some Encodable) throws -> Set<String> {
        let text = try MessageCodec.encodeText(value, pretty: false)
        return Set(try JSONDecoder().decode([String: Ignored].self, from: Data(text)).keys)
    }

    private struct Ignored: Decodable { init(from _: any Decoder) {} }

    @Test func typesMatchTheModels() throws {
        let types = declarations("type")
        var lun = Samples.discovery.targets[0].luns[0]
        lun.error = "x"
        #expect(try types["Portal"] == keys(Samples.discovery.targets[0].portals[0]))
        #expect(try types["LUN"] == keys(lun))
        #expect(try types["Target"] == keys(Samples.discovery.targets[0]))
        #expect(try types["Path"] == keys(Samples.path))
        #expect(try types["Health"] == keys(Samples.path.health))
        #expect(types["Queue"] == ["paths"])
        #expect(try types["Counters"] == keys(Samples.report.counters))
        #expect(try types["Event"] == keys(Samples.report.events[0]))
        #expect(try types["DiskSummary"] == keys(Samples.summary))
        #expect(try types["Disk"] == keys(Samples.reportOfQueues))
        #expect(try types["ParameterKey"] == keys(Samples.parameters.keys[0]))
        #expect(try types["PathParameters"] == keys(Samples.parameters.paths[0]))
        #expect(try types["ReloadedDisk"] == keys(Samples.reload.disks[0]))
        #expect(try types["Reservations"] == keys(Samples.reservations))
        #expect(types.count == 15)
    }

    @Test func methodsMatchTheRequests() throws {
        let methods = declarations("method")
        #expect(
            try methods["Discover"]
                == keys(
                    DiscoverRequest(
                        portals: [Samples.portal], interfaces: [], luns: true, chap: Samples.attach.chap)))
        #expect(
            try declarations("type")["CHAP"]
                == keys(
                    CHAPRequest(user: "a", secretFile: "/b", mutualUser: "c", mutualSecretFile: "/d")))
        #expect(try methods["Attach"] == keys(Samples.attach))
        #expect(try methods["AttachConfigured"] == keys(AttachConfiguredRequest(name: Samples.name())))
        #expect(try methods["Set"] == keys(SetRequest(name: Samples.name(), settings: ["a": "b"])))
        #expect(
            try methods["AddPaths"]
                == keys(AddPathsRequest(name: Samples.name(), interfaces: ["a"], portals: [Samples.portal])))
        for method in ["RemovePaths", "DisablePaths", "EnablePaths"] {
            #expect(try methods[method] == keys(ChangePathsRequest(name: Samples.name(), paths: ["a"])))
        }
        #expect(try methods["Detach"] == keys(DetachRequest(name: Samples.name())))
        #expect(try methods["Rescan"] == keys(RescanRequest(name: Samples.name())))
        #expect(try methods["Params"] == keys(StatusRequest(name: Samples.name())))
        #expect(try methods["Reload"] == keys(ReloadRequest(relogin: true)))
        #expect(methods["List"] == [])
        #expect(try methods["Status"] == keys(StatusRequest(name: Samples.name())))
        #expect(try methods["Reserve"] == keys(Samples.reserve))
        #expect(methods.count == 15)
    }

    @Test func errorsMatchTheKinds() {
        let errors = declarations("error")
        #expect(Set(errors.keys) == Set(ControlError.Kind.all.map(\.rawValue)))
        for (name, fields) in errors {
            #expect(fields.isSuperset(of: ["message", "remedy"]), "\(name)")
        }
        #expect(errors["DeviceInUse"]?.contains("holders") == true)
        #expect(errors["WrongConfiguration"]?.contains("problems") == true)
        #expect(errors["LoginRefused"]?.isSuperset(of: ["statusClass", "statusDetail"]) == true)
    }

    @Test func errorsSurviveTheWire() throws {
        let errors: [ControlError] = [
            .reservationConflict(Samples.name(), "held by 0xdef"),
            .noSuchInterface("eth9"), .interfaceWithoutAddress("eth1", family: "IPv4"),
            .portalUnreachable(Samples.portal, interface: "eth1", reason: "timed out"),
            .targetNotFound("t", portal: Samples.portal, known: ["u"]),
            .loginRefused(
                "t", portal: Samples.portal, initiator: "i", statusClass: 2, statusDetail: 1,
                reason: "authentication failure"),
            .noSuchLUN(3, target: "t", existing: [1, 2]), .alreadyAttached(Samples.name(), at: "/dev/nbd0"),
            .deviceInUse(Samples.name(), device: "/dev/nbd0", holders: ["mounted on /srv"]),
            .flushFailed(Samples.name(), reason: "EIO", isGone: false), .nbdModuleAbsent(),
            .wrongConfiguration(["f:1: x"]),
            .authenticationFailed("t", place: "10.0.0.1:3260", reason: "x"),
            .identityInUse("naa.6", device: "/dev/sda"), .noSuchDisk(Samples.name()),
            .permissionDenied("attach disks"),
            .invalidName("X"), .invalidArgument("a", remedy: "b"), .busy("a"), .internalFailure("a"),
        ]
        #expect(Set(errors.map(\.kind)) == Set(ControlError.Kind.all))
        for error in errors {
            let text = try MessageCodec.encodeText(error.parameters, pretty: false)
            let parameters = try MessageCodec.decode(ControlError.Parameters.self, from: text)
            #expect(ControlError(varlinkName: error.varlinkName, parameters: parameters) == error)
            #expect(!error.message.isEmpty && !error.remedy.isEmpty)
            #expect(error.message.last != "." && error.remedy.last != ".")
        }
        #expect(ControlError(varlinkName: "org.varlink.service.X", parameters: errors[0].parameters) == nil)
    }
}
