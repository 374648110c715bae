import Testing

@testable import CausewayCore

@Suite struct SessionParameterTests {
    @Test func `Every key that a login offers has a row, and no other`() throws {
        var options = LoginTarget.options()
        options.wanted = WantedParameters()
        var target = LoginTarget(options)
        _ = target.passSecurity()
        let offered = target.pairs.map { String($0.prefix { $0 != "=" }) }
        let rows = SessionParameter.all.filter { $0.values != .fixed }
        #expect(Set(offered) == Set(rows.map(\.key.name)))
        #expect(rows.count == offered.count)
        // The others are answered as they are shown, whatever a target proposes.
        let proposals = ["TaskReporting=FastAbort,RFC3720", "iSCSIProtocolLevel=2"]
        #expect(target.respond(proposals, transit: false).isSend)
        let others = SessionParameter.all.filter { $0.values == .fixed }
        #expect(target.pairs == others.map { "\($0.key.name)=\($0.text(options.wanted))" })
        let parameters = try #require(target.respond(tsih: 1).parameters)
        #expect(others.map { $0.negotiated(parameters) } == ["RFC3720", "1"])
    }

    @Test func `What may be set lies in the range of the standard, and the default is among it`() {
        let wanted = WantedParameters()
        for row in SessionParameter.all {
            switch row.values {
            case .number(let range):
                #expect(row.key.definition.range?.contains(UInt64(range.lowerBound)) == true)
                #expect(row.key.definition.range?.contains(UInt64(range.upperBound)) == true)
                #expect(Int(row.text(wanted)).map(range.contains) == true, "\(row.key.name)")
            case .flags(let flags):
                #expect(row.key.definition.format == .boolean)
                #expect(TextValue.boolean(row.text(wanted)).map(flags.contains) == true)
            case .digest: #expect(row.text(wanted) == "None")
            case .fixed:
                #expect(row.text(wanted) == row.key.definition.defaultValue && !row.isConfigurable)
            }
            #expect(row.key.definition.defaultValue != nil)
            #expect(!row.allowed.isEmpty && !row.rule.isEmpty)
        }
    }

    @Test func `Setting a row changes what it shows, and what is not possible changes nothing`() {
        for row in SessionParameter.all {
            var wanted = WantedParameters()
            switch row.values {
            case .number(let range):
                for number in [range.lowerBound, range.upperBound] {
                    #expect(row.set(number, in: &wanted))
                    #expect(row.text(wanted) == "\(number)")
                }
                let before = wanted
                #expect(!row.set(range.upperBound + 1, in: &wanted) && !row.set(-1, in: &wanted))
                #expect(wanted == before)
            case .flags(let flags):
                for flag in [true, false] {
                    #expect(row.set(flag ? 1 : 0, in: &wanted) == flags.contains(flag))
                    if flags.contains(flag) { #expect(row.text(wanted) == TextValue.text(flag)) }
                }
                #expect(!row.set(2, in: &wanted))
            case .digest, .fixed: #expect(!row.set(1, in: &wanted))
            }
        }
    }
}
