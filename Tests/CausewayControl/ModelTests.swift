import CausewayControl
import Testing

/// The JSON of every model, as other programs see it: a change here is a change of the interface.
@Suite struct ModelTests {
    private func check<Model: Codable & Equatable>(_ model: Model, _ golden: String) throws {
        let text = try MessageCodec.encodeText(model, pretty: false)
        #expect(String(decoding: text, as: UTF8.self) == golden.filter { $0 != "\n" })
        #expect(try MessageCodec.decode(Model.self, from: Array(golden.utf8)) == model)
    }

    @Test func attachRequest() throws {
        try check(
            Samples.attach,
            """
            {"chap":{"secretFile":"/etc/causeway/host1.secret","user":"host1"},
            "discovery":"10.0.1.1:3260",
            "force":true,
            "interfaces":["eth1","eth2"],
            "lun":1,
            "name":"data1",
            "persist":true,
            "policy":"round-robin",
            "portals":["10.0.1.1:3260","[2001:db8::1]:3261"],
            "queueDepth":64,
            "queues":2,
            "readOnly":true,
            "settings":{"fence":"barrier"},
            "socket":"/run/data1.sock",
            "target":"iqn.2001-04.com.example:storage",
            "waitForInterfaces":true}
            """)
    }

    @Test func reload() throws {
        try check(
            Samples.reload,
            """
            {"disks":[{"applied":["policy is fixed; it was round-robin"],
            "loggedIn":["eth2/10.0.2.1:3260"],
            "name":"data1",
            "needsAttach":["lun is 2; it was 1"],
            "needsLogin":["chap"],
            "oldLogins":["eth1/10.0.1.1:3260"],
            "outcome":"changed",
            "problems":["x\\u001b"]},
            {"applied":[],"loggedIn":[],"name":"data2","needsAttach":[],"needsLogin":[],"oldLogins":[],
            "outcome":"attaching","problems":[]}],
            "notes":["a note"]}
            """)
        try check(ReloadRequest(relogin: true), #"{"relogin":true}"#)
        let plain = try MessageCodec.decode(ReloadRequest.self, from: Array("{}".utf8))
        #expect(plain == ReloadRequest(relogin: false))
    }

    @Test func absentFieldsOfRequestsMeanTheDefaults() throws {
        let attach = try MessageCodec.decode(
            AttachRequest.self, from: Array(#"{"name":"d","target":"t","portals":["1.2.3.4"],"lun":0}"#.utf8))
        #expect(
            attach
                == AttachRequest(
                    name: Samples.name("d"), target: "t", portals: [PortalAddress(host: "1.2.3.4")], lun: 0))
        let found = try MessageCodec.decode(
            AttachRequest.self, from: Array(#"{"name":"d","target":"t","discovery":"1.2.3.4","lun":0}"#.utf8))
        #expect(found.portals == [] && found.discovery == PortalAddress(host: "1.2.3.4"))
        #expect(throws: Never.self) { try found.validate() }
        var lost = found
        lost.discovery = nil
        #expect(throws: ControlError.self) { try lost.validate() }
        let discover = try MessageCodec.decode(
            DiscoverRequest.self,
            from: Array(#"{"portals":["1.2.3.4"],"interfaces":null,"later":{"x":[1]}}"#.utf8))
        #expect(discover == DiscoverRequest(portals: [PortalAddress(host: "1.2.3.4")]))
        let detach = try MessageCodec.decode(DetachRequest.self, from: Array(#"{"name":"d"}"#.utf8))
        #expect(detach == DetachRequest(name: Samples.name("d")))
    }

    @Test func smallRequests() throws {
        try check(
            DiscoverRequest(portals: [Samples.portal], interfaces: ["eth1"], luns: true),
            #"{"interfaces":["eth1"],"luns":true,"portals":["10.0.1.1:3260"]}"#)
        try check(
            DetachRequest(name: Samples.name(), force: true), #"{"force":true,"forget":false,"name":"data1"}"#
        )
        try check(
            SetRequest(name: Samples.name(), settings: ["b": "2", "a": "1"]),
            #"{"name":"data1","settings":{"a":"1","b":"2"}}"#)
        try check(
            AddPathsRequest(name: Samples.name(), interfaces: ["eth3"], portals: [Samples.portal]),
            #"{"interfaces":["eth3"],"name":"data1","portals":["10.0.1.1:3260"]}"#)
        try check(
            ChangePathsRequest(name: Samples.name(), paths: ["eth3"], force: true),
            #"{"force":true,"name":"data1","paths":["eth3"]}"#)
        try check(StatusRequest(name: Samples.name()), #"{"name":"data1"}"#)
    }

    @Test func discovery() throws {
        try check(
            Samples.discovery,
            #"""
            {"problems":["10.0.9.9:3260 through eth2: connection refused"],
            "targets":[{"luns":[
            {"blockLength":512,"lun":1,"model":"disk0","serial":"4f1b","sizeBytes":10737418240,
            "vendor":"LIO-ORG","wwid":"naa.6001405f1b"},
            {"error":"not ready","lun":12}],
            "name":"iqn.2001-04.com.example:storage",
            "portals":[
            {"address":"10.0.1.1","groupTag":1,"interface":"eth1","port":3260},
            {"address":"2001:db8::1","groupTag":1,"port":3261}]},
            {"luns":[],"name":"iqn.2001-04.com.example:\u001b[2J","portals":[]}]}
            """#)
    }

    @Test func diskSummary() throws {
        try check(
            Samples.summary,
            """
            {"device":"/dev/nbd0","lun":1,"name":"data1","notes":["something"],"pathsActive":1,"pathsTotal":2,
            "readOnly":true,
            "sizeBytes":10737418240,"socket":"/run/data1.sock","state":"degraded",
            "target":"iqn.2001-04.com.example:storage"}
            """)
    }

    @Test func diskReport() throws {
        try check(
            Samples.report,
            """
            {"blockLength":512,
            "counters":{"activations":0,"errors":0,"fencedWrites":6,"fences":1,"flushes":3,"hedgedReads":9,
            "held":4,"readBytes":5368709120,
            "reads":100,"resent":7,"resets":0,"trims":2,"unfenced":2,"writeZeroes":1,"writes":50,
            "writtenBytes":1536},
            "device":"/dev/nbd0",
            "events":[{"message":"eth2 10.0.2.1:3260: link lost","timeMicroseconds":1767225599999999}],
            "lun":1,"model":"disk0","name":"data1",
            "notes":["no space on the LUN for 7 s: writes are held (space = hold)"],
            "paths":[
            {"accessGroup":2,"accessState":"active/optimized","digestErrors":3,"errors":2,"fences":1,
            "health":{"fencesByBarrier":1,"fencesByLogin":0,"hedgedReads":9,"hedgesWon":8,"heldWrites":6,
            "lastFenceMicroseconds":4321,"losses":2,"pings":40,
            "quarantinedUntilMicroseconds":1767225600000000,"quarantines":1,"reassigned":5,"retransmits":3,
            "rttMicroseconds":120,"suspicions":5},"inFlight":12,"interface":"eth1","ios":123456,
            "lastFence":"reinstated on eth2, then the barrier, 4 ms","latencyMicroseconds":85,
            "latencyP99Microseconds":1234,"portal":"10.0.1.1:3260","portalGroupTag":1,"preferred":true,
            "readBytes":5368709120,
            "reason":"slow","sourceAddress":"10.0.1.2","state":"active","writtenBytes":1536},
            {"digestErrors":0,"errors":0,"fences":0,
            "health":{"fencesByBarrier":0,"fencesByLogin":0,"hedgedReads":0,"hedgesWon":0,"heldWrites":0,
            "losses":0,"pings":0,"quarantines":0,"reassigned":0,"suspicions":0},
            "inFlight":0,"interface":"eth2","ios":0,
            "latencyMicroseconds":0,"portal":"10.0.2.1:3260","preferred":false,"readBytes":0,
            "reason":"connection reset by the target","state":"down",
            "writtenBytes":0}],
            "policy":"round-robin","readOnly":true,
            "settings":{"fence":"barrier","policy":"round-robin"},
            "sizeBytes":10737418240,"socket":"/run/data1.sock",
            "state":"degraded","target":"iqn.2001-04.com.example:storage","vendor":"LIO-ORG",
            "wwid":"naa.6001405f1b"}
            """)
    }

    @Test func calls() throws {
        let call = VarlinkCall(method: "io.causeway.Status", parameters: StatusRequest(name: Samples.name()))
        #expect(
            try MessageCodec.encode(call)
                == Array(#"{"method":"io.causeway.Status","parameters":{"name":"data1"}}"#.utf8) + [0])
        let reply = VarlinkReply(
            parameters: ControlError.noSuchDisk(Samples.name()).parameters, error: "io.causeway.NoSuchDisk")
        #expect(
            String(decoding: try MessageCodec.encodeText(reply, pretty: false), as: UTF8.self)
                == #"{"error":"io.causeway.NoSuchDisk","parameters":{"#
                + #""message":"no disk named data1 is attached","#
                + #""remedy":"see the disks with: causeway list"}}"#
        )
    }

    @Test func jsonIsPureASCII() throws {
        let text = try MessageCodec.encodeText(
            StatusResultOfSorts(text: "\u{7f}\u{9b}31m\u{e4}\u{1f600}\u{202e}\u{0}"), pretty: false)
        #expect(
            String(decoding: text, as: UTF8.self)
                == #"{"text":"\u007f\u009b31m\u00e4\ud83d\ude00\u202e\u0000"}"#)
        #expect(
            try MessageCodec.decode(StatusResultOfSorts.self, from: text).text
                == "\u{7f}\u{9b}31m\u{e4}\u{1f600}\u{202e}\u{0}")
    }

    private struct StatusResultOfSorts: Codable { var text: String }

    @Test(arguments: [
        (#"{"method":"m","parameters":{"target":"t","portals":["1.2.3.4"],"lun":0}}"#, "name"),
        (#"{"method":"m","parameters":{"name":5,"target":"t","portals":["1.2.3.4"],"lun":0}}"#, "name"),
        (#"{"method":"m","parameters":{"name":"d","target":"t","portals":"1.2.3.4","lun":1}}"#, "portals"),
        (#"{"method":"m","parameters":{"name":"d","target":"t","portals":[{}],"lun":1}}"#, "portals"),
    ])
    func aWrongParameterIsNamed(text: String, parameter: String) {
        #expect(throws: WireError.invalidParameter(name: parameter)) {
            try MessageCodec.decode(VarlinkCall<AttachRequest>.self, from: Array(text.utf8))
        }
    }

    @Test(arguments: ["-1", "1.5", "1e99", "18446744073709551616", "\"1\""])
    func aNumberThatDoesNotFitIsRefused(number: String) {
        let text = #"{"name":"d","target":"t","portals":["1.2.3.4"],"lun":"# + number + "}"
        #expect(throws: WireError.self) {
            try MessageCodec.decode(AttachRequest.self, from: Array(text.utf8))
        }
    }

    @Test func aParameterWithoutSenseIsExplained() {
        let text = #"{"method":"m","parameters":{"name":"../etc"}}"#
        #expect(throws: WireError.rejected(.invalidName("../etc"))) {
            try MessageCodec.decode(VarlinkCall<StatusRequest>.self, from: Array(text.utf8))
        }
    }

    @Test(arguments: [
        "", "{", "[]", "7", "null", #""x""#, "{}", #"{"method":7}"#, "{\"method\":\"\u{0}\"}", "\u{feff}",
    ])
    func garbageIsMalformed(text: String) {
        #expect {
            try MessageCodec.decode(VarlinkCall<NoParameters>.self, from: Array(text.utf8))
        } throws: {
            if case .malformed = $0 as? WireError { true } else { false }
        }
    }

    @Test func deepNestingIsRefusedWithoutHarm() {
        let deep = #"{"method":"m","parameters":"# + String(repeating: "[", count: 400_000)
        #expect(throws: WireError.self) {
            try MessageCodec.decode(VarlinkCall<NoParameters>.self, from: Array(deep.utf8))
        }
    }
}
