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
        return table.lines()
    }
}

extension DiskReport {
    /// What `causeway attach` prints: where the disk is, and its paths.
    public var attachedLines: [String] {
        [headline, ""] + connectionLines
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
        lines += field("Policy", policy)
        lines += [""] + trafficLines
        lines += notes(paths.compactMap { path in path.reason.map { (path, $0) } })
        lines += notes(paths.compactMap { path in path.lastFence.map { (path, "last fence: \($0)") } })
        lines += [""] + counters.lines
        if !events.isEmpty {
            lines += ["", "Events"]
            lines += events.map {
                "  \(Quantities.utc(microseconds: $0.timeMicroseconds))  \($0.message)".escapedForTerminal
            }
        }
        return lines
    }

    private var headline: String {
        "\(name)  \(device ?? socket ?? TextTable.blank)  \(Quantities.bytes(sizeBytes))  \(state.rawValue)"
            .escapedForTerminal
    }

    private func field(_ title: String, _ value: String) -> [String] {
        guard !value.isEmpty else { return [] }
        return ["  " + title + String(repeating: " ", count: 9 - title.utf8.count) + value.escapedForTerminal]
    }

    private func notes(_ notes: [(path: PathReport, text: String)]) -> [String] {
        notes.map { path, text in
            "  \(path.interface.map { "\($0) " } ?? "")\(path.portal): \(text)".escapedForTerminal
        }
    }

    /// The paths without their traffic, for a disk that has had none yet.
    private var connectionLines: [String] {
        var table = TextTable([
            .left("INTERFACE"), .left("ADDRESS"), .left("PORTAL"), .right("TPG"), .left("STATE"),
        ])
        for path in paths {
            table.append([
                path.interface, path.sourceAddress, path.portal.description,
                path.portalGroupTag.map { "\($0)" },
                path.state.rawValue,
            ])
        }
        return table.lines(indent: 2) + notes(paths.compactMap { path in path.reason.map { (path, $0) } })
    }

    private var trafficLines: [String] {
        var table = TextTable([
            .left("INTERFACE"), .left("ADDRESS"), .left("PORTAL"), .right("TPG"), .left("STATE"),
            .right("IN FLIGHT"),
            .right("I/OS"), .right("READ"), .right("WRITTEN"), .right("MEAN"), .right("P99"),
            .right("ERRORS"),
            .right("FENCES"),
        ])
        for path in paths {
            table.append([
                path.interface, path.sourceAddress, path.portal.description,
                path.portalGroupTag.map { "\($0)" },
                path.state.rawValue, "\(path.inFlight)", "\(path.ios)", Quantities.bytes(path.readBytes),
                Quantities.bytes(path.writtenBytes),
                path.ios > 0 ? Quantities.duration(microseconds: path.latencyMicroseconds) : nil,
                path.latencyP99Microseconds.map { Quantities.duration(microseconds: $0) }, "\(path.errors)",
                "\(path.fences)",
            ])
        }
        return table.lines(indent: 2)
    }
}

extension DiskCounters {
    fileprivate var lines: [String] {
        let (read, written) = (Quantities.bytes(readBytes), Quantities.bytes(writtenBytes))
        return [
            "  Requests  reads \(reads) (\(read)), writes \(writes) (\(written)), flushes \(flushes),"
                + " trims \(trims), write-zeroes \(writeZeroes)",
            "  Trouble   errors \(errors), sent again \(resent), fences \(fences), held now \(held)",
        ]
    }
}
