extension ReloadReport {
    /// What `causeway reload` prints. What could not be done is not part of it: it belongs on standard error.
    public var lines: [String] {
        var lines = notes.map { "! \($0)".escapedForTerminal }
        if disks.isEmpty { lines.append("no disks") }
        for disk in disks { lines += disk.lines }
        if disks.contains(where: { !$0.oldLogins.isEmpty }) {
            lines += ["", "To log paths in anew, one after the other: causeway reload --relogin"]
        }
        return lines
    }

    /// What could not be done, with the disk.
    public var problems: [String] {
        disks.flatMap { disk in disk.problems.map { "\(disk.name): \($0)" } }
    }
}

extension ReloadedDisk {
    fileprivate var lines: [String] {
        var lines = ["\(name)  \(outcome.explanation)".escapedForTerminal]
        lines += applied.map { "  \($0)".escapedForTerminal }
        lines += loggedIn.map { "  \($0) is logged in anew".escapedForTerminal }
        if !oldLogins.isEmpty {
            let paths = oldLogins.joined(separator: ", ")
            lines.append(
                "  from the next login on: \(needsLogin.joined(separator: ", ")); not yet on \(paths)"
                    .escapedForTerminal)
        }
        lines += needsAttach.map { "  only after detach and attach: \($0)".escapedForTerminal }
        return lines
    }
}

extension ReloadOutcome {
    fileprivate var explanation: String {
        switch self {
        case .attaching: "is being attached"
        case .detached: "stays detached, as it was by hand; causeway attach attaches it"
        case .fileRemoved: "stays attached, and its file is gone; causeway detach detaches it"
        case .givenUp: "is not tried any more: its file is gone"
        case .busy: "is being attached or detached just now: left alone, reload again"
        default: rawValue
        }
    }
}
