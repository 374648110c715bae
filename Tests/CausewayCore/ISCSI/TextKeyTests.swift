import Testing

@testable import CausewayCore

@Suite struct TextKeyTests {
    @Test func tableFollowsTheCases() {
        #expect(TextKey.table.count == TextKey.allCases.count)
        for (row, key) in zip(TextKey.table, TextKey.allCases) {
            #expect(row.key == key && key.definition.name == row.name)
            #expect(TextKey(name: row.name) == key)
            #expect(row.name.utf8.count <= TextPairReader.maximumKeyLength)
        }
        #expect(TextKey(name: "headerdigest") == nil, "keys are case-sensitive")
        #expect(Set(TextKey.table.map(\.name)).count == TextKey.table.count)
    }

    /// Name, default, result, use, senders as RFC 7143 §13 and RFC 7144 §7 give them.
    @Test(arguments: [
        "HeaderDigest None firstInList initializeOnly both",
        "DataDigest None firstInList initializeOnly both",
        "MaxConnections 1 minimum leadingOnly both",
        "SendTargets - declarative fullFeaturePhaseOnly initiator",
        "TargetName - declarative initializeOnly both",
        "InitiatorName - declarative initializeOnly initiator",
        "TargetAlias - declarative all target", "InitiatorAlias - declarative all initiator",
        "TargetAddress - declarative all target", "TargetPortalGroupTag - declarative initializeOnly target",
        "InitialR2T Yes or leadingOnly both", "ImmediateData Yes and leadingOnly both",
        "MaxRecvDataSegmentLength 8192 declarative all both",
        "MaxBurstLength 262144 minimum leadingOnly both",
        "FirstBurstLength 65536 minimum leadingOnly both", "DefaultTime2Wait 2 maximum leadingOnly both",
        "DefaultTime2Retain 20 minimum leadingOnly both", "MaxOutstandingR2T 1 minimum leadingOnly both",
        "DataPDUInOrder Yes or leadingOnly both", "DataSequenceInOrder Yes or leadingOnly both",
        "ErrorRecoveryLevel 0 minimum leadingOnly both",
        "SessionType Normal declarative leadingOnly initiator",
        "TaskReporting RFC3720 firstInList leadingOnly both",
        "iSCSIProtocolLevel 1 minimum leadingOnly both",
    ])
    func rows(_ line: String) throws {
        let words = line.split(separator: " ").map(String.init)
        let row = try #require(TextKey(name: words[0])).definition
        #expect((row.defaultValue ?? "-") == words[1])
        #expect("\(row.result)" == words[2])
        #expect("\(row.use)" == words[3])
        let senders: TextKeyDefinition.Senders =
            words[4] == "both" ? .both : words[4] == "target" ? .target : .initiator
        #expect(row.senders == senders)
        if let value = row.defaultValue { #expect(row.isWellFormed(value)) }
    }

    @Test(arguments: [
        (TextKey.maxConnections, 1, 65535), (.maxRecvDataSegmentLength, 512, 16_777_215),
        (.maxBurstLength, 512, 16_777_215), (.firstBurstLength, 512, 16_777_215),
        (.defaultTime2Wait, 0, 3600),
        (.defaultTime2Retain, 0, 3600), (.maxOutstandingR2T, 1, 65535), (.errorRecoveryLevel, 0, 2),
        (.iscsiProtocolLevel, 0, 31), (.targetPortalGroupTag, 0, 65535), (.chapI, 0, 255),
    ])
    func ranges(key: TextKey, low: UInt64, high: UInt64) {
        #expect(key.definition.range == low...high)
        #expect(key.definition.isWellFormed(String(high)))
        #expect(!key.definition.isWellFormed(String(high + 1)))
        if low > 0 { #expect(!key.definition.isWellFormed(String(low - 1))) }
    }

    /// What we answer to an offer: every key, every shape of offer.
    @Test(arguments: [
        (TextKey.headerDigest, "CRC32C,None", "None", "None"),
        (.headerDigest, "CRC32C,None", "CRC32C,None", "CRC32C"),
        (.headerDigest, "None,CRC32C", "CRC32C,None", "None"),
        (.dataDigest, "CRC32C", "None", "Reject"), (.dataDigest, "X-foo,CRC32C", "CRC32C", "CRC32C"),
        (.dataDigest, "", "None", "Reject"), (.dataDigest, "CRC32C,,None", "None", "Reject"),
        (.maxConnections, "4", "1", "1"), (.maxConnections, "1", "4", "1"),
        (.maxConnections, "0", "1", "Reject"),
        (.maxConnections, "65536", "1", "Reject"), (.maxConnections, "many", "1", "Reject"),
        (.initialR2T, "Yes", "No", "Yes"), (.initialR2T, "No", "No", "No"), (.initialR2T, "No", "Yes", "Yes"),
        (.initialR2T, "yes", "No", "Reject"), (.immediateData, "Yes", "Yes", "Yes"),
        (.immediateData, "Yes", "No", "No"), (.immediateData, "No", "Yes", "No"),
        (.maxBurstLength, "262144", "1048576", "262144"), (.maxBurstLength, "0x200000", "1048576", "1048576"),
        (.maxBurstLength, "511", "1048576", "Reject"), (.maxBurstLength, "16777216", "1048576", "Reject"),
        (.maxBurstLength, "1024~4096", "1048576", "4096"), (.maxBurstLength, "1024~4096", "2048", "2048"),
        (.maxBurstLength, "1024~4096", "512", "1024"), (.maxBurstLength, "4096~1024", "512", "Reject"),
        (.firstBurstLength, "65536", "262144", "65536"), (.defaultTime2Wait, "5", "2", "5"),
        (.defaultTime2Wait, "0", "2", "2"), (.defaultTime2Wait, "3601", "2", "Reject"),
        (.defaultTime2Retain, "5", "20", "5"), (.defaultTime2Retain, "60", "20", "20"),
        (.maxOutstandingR2T, "1", "16", "1"), (.dataPDUInOrder, "No", "Yes", "Yes"),
        (.dataPDUInOrder, "Yes", "No", "Yes"), (.dataSequenceInOrder, "No", "No", "No"),
        (.errorRecoveryLevel, "2", "0", "0"), (.errorRecoveryLevel, "3", "0", "Reject"),
        (.taskReporting, "FastAbort,ResponseFence,RFC3720", "RFC3720", "RFC3720"),
        (.taskReporting, "FastAbort", "RFC3720", "Reject"), (.iscsiProtocolLevel, "2", "1", "1"),
        (.ifMarker, "No", "No", "Reject"), (.ofMarker, "Yes", "No", "Reject"),
        (.ifMarkInt, "2048~8192", "", "Reject"), (.ofMarkInt, "2048", "", "Reject"),
    ])
    func answers(key: TextKey, offer: String, wanted: String, answer: String) {
        #expect(key.definition.answer(to: offer, wanted: wanted) == answer)
        if answer != "Reject" {
            #expect(key.definition.isLegal(answer: answer, to: offer), "our own answers are legal")
        }
    }

    /// What a target may answer to our offer.
    @Test(arguments: [
        (TextKey.maxBurstLength, "1048576", "262144", true), (.maxBurstLength, "1048576", "1048576", true),
        (.maxBurstLength, "1048576", "1048577", false), (.maxBurstLength, "1048576", "511", false),
        (.maxBurstLength, "1048576", "x", false), (.maxBurstLength, "1048576", "", false),
        (.maxBurstLength, "1048576", "-1", false), (.maxBurstLength, "1048576", "512~1024", false),
        (.maxBurstLength, "1048576", "0x1000", true), (.defaultTime2Wait, "2", "2", true),
        (.defaultTime2Wait, "2", "3600", true), (.defaultTime2Wait, "2", "1", false),
        (.defaultTime2Wait, "2", "3601", false), (.initialR2T, "No", "Yes", true),
        (.initialR2T, "No", "No", true),
        (.initialR2T, "Yes", "No", false), (.immediateData, "Yes", "No", true),
        (.immediateData, "No", "Yes", false),
        (.immediateData, "Yes", "maybe", false), (.headerDigest, "CRC32C,None", "None", true),
        (.headerDigest, "CRC32C", "None", false), (.headerDigest, "CRC32C,None", "CRC32C,None", false),
        (.errorRecoveryLevel, "0", "1", false), (.ifMarker, "No", "No", false),
    ])
    func legality(key: TextKey, offer: String, answer: String, isLegal: Bool) {
        #expect(key.definition.isLegal(answer: answer, to: offer) == isLegal)
    }

    @Test func declarativeKeysAreNotAnswered() {
        for row in TextKey.table where row.result == .declarative {
            #expect(row.answer(to: "1", wanted: "1") == nil)
        }
    }
}
