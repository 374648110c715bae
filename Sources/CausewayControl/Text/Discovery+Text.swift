extension Discovery {
    /// What `causeway discover` prints: per target its portals, and its LUNs where they were asked for.
    ///
    /// The problems are not part of it: they belong on standard error.
    public var lines: [String] {
        if targets.isEmpty { return ["no targets"] }
        return Array(targets.map(\.lines).joined(separator: [""]))
    }
}

extension TargetReport {
    fileprivate var lines: [String] {
        var portalTable = TextTable([.left("PORTAL"), .right("TPG"), .left("INTERFACE")])
        for portal in portals {
            let address = PortalAddress(host: portal.address, port: portal.port)
            portalTable.append([address.description, "\(portal.groupTag)", portal.interface])
        }
        var lines = [name.escapedForTerminal] + portalTable.lines(indent: 2)
        guard !luns.isEmpty else { return lines }
        var table = TextTable([
            .right("LUN"), .right("SIZE"), .right("BLOCK"), .left("VENDOR"), .left("MODEL"), .left("SERIAL"),
            .left("WWID"),
        ])
        for lun in luns {
            table.append([
                "\(lun.lun)", lun.sizeBytes.map(Quantities.bytes), lun.blockLength.map { "\($0)" },
                lun.vendor, lun.model,
                lun.serial, lun.wwid,
            ])
        }
        lines += table.lines(indent: 2)
        for lun in luns {
            if let error = lun.error { lines.append("  LUN \(lun.lun): \(error.escapedForTerminal)") }
        }
        return lines
    }
}
