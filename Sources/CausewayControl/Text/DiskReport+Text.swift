extension DiskSummary {
    /// What `causeway list` prints.
    public static func lines(of disks: [DiskSummary]) -> [String] {
        if disks.isEmpty { return ["no disks"] }
        var table = TextTable([
            .left("NAME"), .left("DEVICE"), .right("SIZE"), .left("STATE"), .right("PATHS"), .right("LUN"),
            .left("TARGET"),
        ])
        for disk in disks {
            table.append([
                disk.name.text, disk.device ?? disk.socket,
                Quantities.bytes(disk.sizeBytes), disk.state.rawValue + (disk.readOnly ? " (read-only)" : ""),
                "\(disk.pathsActive)/\(disk.pathsTotal)", "\(disk.lun)", disk.target,
            ])
        }
        let notes = disks.flatMap { disk in disk.notes.map { "\(disk.name): \($0)".escapedForTerminal } }
        return table.lines() + notes
    }
}

extension DiskReport {
    /// What `causeway attach` prints: where the disk is, and its paths.
    public var attachedLines: [String] {
        [headline] + queueLines + notes.map { "  ! \($0)".escapedForTerminal } + [""] + connectionLines
    }

    /// What `causeway status` prints.
    public var lines: [String] {
        var lines = [headline]
        lines += field("Target", "\(target), LUN \(lun)")
        let product = [vendor, model].filter { !$0.isEmpty }.joined(separator: " ")
        lines += field("Product", product)
        lines += field("WWID", wwid ?? "")
        lines += field(
            "Size", "\(sizeBytes) bytes in blocks of \(blockLength)\(readOnly ? ", read-only" : "")")
        lines += queueLines
        lines += field("Policy", policy)
        let others = settings.filter { $0.key != "policy" }.sorted { $0.key < $1.key }
        lines += field("Settings", others.map { "\($0.key)=\($0.value)" }.joined(separator: " "))
        lines += notes.map { "  ! \($0)".escapedForTerminal }
        lines += [""] + trafficLines + [""] + healthLines + accessLines
        lines += notes(paths.compactMap { path in path.reason.map { (path, path.quarantineText + $0) } })
        lines += notes(paths.compactMap { path in path.lastFence.map { (path, "last fence: \($0)") } })
        lines += notes(
            paths.filter { $0.digestErrors > 0 }.map { ($0, "\($0.digestErrors) PDUs damaged on their way") })
        lines += [""] + counters.lines
        if !events.isEmpty {
            lines += ["", "Events"]
            lines += events.map {
                "  \(Quantities.utc(microseconds: $0.timeMicroseconds))  \($0.message)".escapedForTerminal
            }
        }
        return lines
    }

    /// What `causeway set` prints: the settings in force, as it takes them.
    public var settingLines: [String] {
        settings.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)".escapedForTerminal }
    }

    private var headline: String {
        let place = device ?? socket ?? TextTable.blank
        let line = "\(name)  \(place)  \(Quantities.bytes(sizeBytes))  \(state.rawValue)"
        return (line + (readOnly ? " (read-only)" : "")).escapedForTerminal
    }

    /// How many sessions it has, where that is not how many paths.
    private var queueLines: [String] {
        guard let queues else { return [] }
        let sessions = queues.flatMap(\.paths)
        let active = sessions.count { $0.state == .active || $0.state == .standby }
        let count = sessions.count { $0.state != .waiting }
        return field(
            "Queues", "\(queues.count), each with a session on every path: \(active) of \(count) are up")
    }

    private var standingColumns: [TextTable.Column] {
        var columns: [TextTable.Column] = [
            .left("INTERFACE"), .left("ADDRESS"), .left("PORTAL"), .right("TPG"), .left("STATE"),
        ]
        if queues != nil { columns.append(.right("SESSIONS")) }
        return columns
    }

    private func standing(of path: PathReport) -> [String?] {
        var cells: [String?] = [
            path.interface, path.sourceAddress, path.portal.description,
            path.portalGroupTag.map { "\($0)" }, path.state.rawValue,
        ]
        if queues != nil { cells.append(sessions(of: path)) }
        return cells
    }

    /// Those of its queues that are up, and all.
    private func sessions(of path: PathReport) -> String {
        let own = (queues ?? []).flatMap(\.paths).filter {
            $0.interface == path.interface && $0.portal == path.portal
        }
        return "\(own.count { $0.state == .active || $0.state == .standby })/\(own.count)"
    }

    private func field(_ title: String, _ value: String) -> [String] {
        guard !value.isEmpty else { return [] }
        return [
            "  " + title + String(repeating: " ", count: 10 - title.utf8.count) + value.escapedForTerminal
        ]
    }

    private func notes(_ notes: [(path: PathReport, text: String)]) -> [String] {
        notes.map { path, text in
            "  \(path.interface.map { "\($0) " } ?? "")\(path.portal): \(text)".escapedForTerminal
        }
    }

    /// The paths without their traffic, for a disk that has had none yet.
    private var connectionLines: [String] {
        var table = TextTable(standingColumns)
        for path in paths { table.append(standing(of: path)) }
        return table.lines(indent: 2) + notes(paths.compactMap { path in path.reason.map { (path, $0) } })
    }

    private var healthLines: [String] {
        var table = TextTable([
            .left("INTERFACE"), .left("PORTAL"), .right("RTT"), .right("RETRANSMITS"), .right("PINGS"),
            .right("SUSPECT"), .right("LOST"), .right("FENCES"), .right("HELD"), .right("LAST"),
            .right("HEDGED"), .right("WON"), .right("QUARANTINES"),
        ])
        for path in paths {
            let health = path.health
            table.append([
                path.interface, path.portal.description,
                health.rttMicroseconds.map { Quantities.duration(microseconds: $0) },
                health.retransmits.map { "\($0)" }, "\(health.pings)", "\(health.suspicions)",
                "\(health.losses)", "\(path.fences)", "\(health.heldWrites)",
                health.lastFenceMicroseconds.map { Quantities.duration(microseconds: $0) },
                "\(health.hedgedReads)", "\(health.hedgesWon)", "\(health.quarantines)",
            ])
        }
        return table.lines(indent: 2)
    }

    /// The access states, for a LUN that has such.
    private var accessLines: [String] {
        let known = paths.filter { $0.accessState != nil }
        guard !known.isEmpty else { return [] }
        var table = TextTable([
            .left("INTERFACE"), .left("PORTAL"), .right("TARGET PORT GROUP"), .left("ACCESS"),
            .left("PREFERRED"),
        ])
        for path in known {
            table.append([
                path.interface, path.portal.description, path.accessGroup.map { "\($0)" }, path.accessState,
                path.preferred ? "yes" : "no",
            ])
        }
        return [""] + table.lines(indent: 2)
    }

    /// A path's part of what was moved over all of them.
    private func share(of path: PathReport) -> String? {
        let all = paths.reduce(0.0) { $0 + Double($1.readBytes) + Double($1.writtenBytes) }
        guard all > 0 else { return nil }
        return "\(Int(((Double(path.readBytes) + Double(path.writtenBytes)) / all * 100).rounded())) %"
    }

    private var trafficLines: [String] {
        let traffic: [TextTable.Column] = [
            .right("IN FLIGHT"), .right("I/OS"), .right("SHARE"), .right("READ"), .right("WRITTEN"),
            .right("MEAN"), .right("P99"),
            .right("ERRORS"),
        ]
        var table = TextTable(standingColumns + traffic)
        for path in paths {
            let cells: [String?] = [
                "\(path.inFlight)", "\(path.ios)", share(of: path),
                Quantities.bytes(path.readBytes),
                Quantities.bytes(path.writtenBytes),
                path.ios > 0 ? Quantities.duration(microseconds: path.latencyMicroseconds) : nil,
                path.latencyP99Microseconds.map { Quantities.duration(microseconds: $0) }, "\(path.errors)",
            ]
            table.append(standing(of: path) + cells)
        }
        return table.lines(indent: 2)
    }
}

extension PathReport {
    fileprivate var quarantineText: String {
        guard let end = health.quarantinedUntilMicroseconds else { return "" }
        return "quarantined until \(Quantities.utc(microseconds: end)): "
    }
}

extension DiskCounters {
    fileprivate var lines: [String] {
        var rare: [String] = []
        if activations > 0 { rare.append("groups activated \(activations)") }
        if resets > 0 { rare.append("LUN resets \(resets)") }
        if unfenced > 0 { rare.append("WRITES WITHOUT FENCE \(unfenced)") }
        let (read, written) = (Quantities.bytes(readBytes), Quantities.bytes(writtenBytes))
        return [
            "  Requests  reads \(reads) (\(read)), writes \(writes) (\(written)), flushes \(flushes),"
                + " trims \(trims), write-zeroes \(writeZeroes)",
            "  Trouble   errors \(errors), sent again \(resent), fences \(fences) (\(fencedWrites) writes),"
                + " hedged reads \(hedgedReads), held now \(held)" + rare.map { ", " + $0 }.joined(),
        ]
    }
}
