import CausewayConfiguration
import CausewayControl
import CausewayCore

/// What a reload finds changed of a disk: nothing here touches the disk.
enum DiskChanges {
    /// What cannot be changed while the disk is attached, in sentences.
    static func needingAttach(_ disk: AttachRequest, _ file: DiskConfiguration) -> [String] {
        var changes: [String] = []
        if (try? ISCSIName(disk.target)) != file.target {
            changes.append("target is \(file.target); it was \(disk.target)")
        }
        if disk.lun != file.lun { changes.append("lun is \(file.lun); it was \(disk.lun)") }
        if disk.socket != file.socket {
            let (now, before) = (file.socket ?? "a kernel device", disk.socket ?? "a kernel device")
            changes.append("socket is \(now); it was \(before)")
        }
        if disk.readOnly != file.isReadOnly {
            changes.append("read-only is \(file.isReadOnly); it was \(disk.readOnly)")
        }
        let queues = disk.queues ?? 1
        if queues != file.queues { changes.append("queues is \(file.queues); it was \(queues)") }
        return changes
    }

    /// How the target's paths are to be used, if that is otherwise than they are used, in a sentence.
    static func needingAttach(_ wanted: [String: String], _ present: Multipathing) -> [String] {
        let key = DiskSetting.multipathingKey
        let text = wanted[key] ?? Multipathing.sessions.rawValue
        return text == present.rawValue ? [] : ["\(key) is \(text); it was \(present.rawValue)"]
    }

    /// The settings to change, by key.
    ///
    /// - Parameters:
    ///   - wanted: as the configuration has them now.
    ///   - before: as it had them, for a disk without a file: what was set by hand stays, and only what has
    ///     changed since is taken. nil for a disk with a file, which goes before what was set by hand.
    static func settings(
        wanted: DiskSettings, before: DiskSettings?, inForce: DiskSettings
    ) -> [String: String] {
        let (present, old) = (inForce.texts, before?.texts)
        return wanted.texts.filter { key, text in
            key != DiskSetting.multipathingKey && text != present[key] && text != old?[key]
        }
    }

    /// What was changed, in sentences.
    static func sentences(_ settings: [String: String], inForce: DiskSettings) -> [String] {
        let before = inForce.texts
        return settings.sorted { $0.key < $1.key }.map {
            "\($0.key) is \($0.value); it was \(before[$0.key] ?? "unset")"
        }
    }

    /// Settings of the lane that hold from a session's next login on.
    static func ofLogins(_ settings: [String: String]) -> [String] {
        ["data-digest", "header-digest"].filter { settings[$0] != nil }
    }
}
