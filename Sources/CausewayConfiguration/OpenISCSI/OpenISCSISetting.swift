import CausewayCore

/// A setting of open-iscsi that Causeway has too: a row of `OpenISCSISetting.all`.
struct OpenISCSISetting: Sendable {
    let key: String
    /// What open-iscsi comes with: nobody has decided on these, so Causeway's own are better.
    let usual: [String]
    let section: Setting.Section
    /// Its name here.
    let name: String
    /// nil for a value that has no counterpart.
    let value: @Sendable (String) -> SettingValue?

    static let all: [OpenISCSISetting] = [
        seconds("node.conn[0].timeo.noop_out_interval", usual: ["5"], "noop-interval"),
        seconds("node.conn[0].timeo.noop_out_timeout", usual: ["5"], "noop-timeout"),
        seconds("node.conn[0].timeo.login_timeout", usual: ["15", "30"], "login-timeout"),
        digest("node.conn[0].iscsi.HeaderDigest", "header-digest"),
        digest("node.conn[0].iscsi.DataDigest", "data-digest"),
        // Of the session, as the queue depth of a path is; node.session.queue_depth is of one LUN.
        number("node.session.cmds_max", usual: ["128"], .disk, "queue-depth"),
        number(
            "node.conn[0].iscsi.MaxRecvDataSegmentLength", usual: ["262144"], .parameters,
            "MaxRecvDataSegmentLength"),
        flag("node.session.iscsi.InitialR2T", usual: "No", "InitialR2T"),
        flag("node.session.iscsi.ImmediateData", usual: "Yes", "ImmediateData"),
        session("FirstBurstLength", usual: "262144"), session("MaxBurstLength", usual: "16776192"),
        session("MaxOutstandingR2T", usual: "1"), session("DefaultTime2Wait", usual: "2"),
        session("DefaultTime2Retain", usual: "0"),
    ]

    private static func seconds(_ key: String, usual: [String], _ name: String) -> OpenISCSISetting {
        OpenISCSISetting(key: key, usual: usual, section: .disk, name: name) { text in
            UInt64(text).map { .text("\($0)s") }
        }
    }

    private static func number(
        _ key: String, usual: [String], _ section: Setting.Section, _ name: String
    ) -> OpenISCSISetting {
        OpenISCSISetting(key: key, usual: usual, section: section, name: name) { text in
            Int64(text).map { .number($0) }
        }
    }

    private static func session(_ name: String, usual: String) -> OpenISCSISetting {
        number("node.session.iscsi.\(name)", usual: [usual], .parameters, name)
    }

    private static func flag(_ key: String, usual: String, _ name: String) -> OpenISCSISetting {
        OpenISCSISetting(key: key, usual: [usual], section: .parameters, name: name) { text in
            ["Yes": .flag(true), "No": .flag(false)][text]
        }
    }

    private static func digest(_ key: String, _ name: String) -> OpenISCSISetting {
        OpenISCSISetting(key: key, usual: ["None"], section: .disk, name: name) { text in
            let texts = [
                "None": "none", "None,CRC32C": "prefer-none", "CRC32C,None": "prefer-crc32c",
                "CRC32C": "crc32c",
            ]
            return texts[text.filter { $0 != " " }].map { .text($0) }
        }
    }

    /// What a disk does while no path is up is decided by this alone only where it has one path: with more,
    /// dm-multipath takes the I/O back after that time, and here another path does at once.
    static let replacement = OpenISCSISetting(
        key: "node.session.timeo.replacement_timeout", usual: ["120"], section: .disk,
        name: "all-paths-down-timeout"
    ) { text in
        guard let seconds = Int64(text) else { return nil }
        // 0 fails at once, and less than that never.
        return .text(seconds < 0 ? "forever" : "\(max(seconds, 1))s")
    }
}
