import CausewayConfiguration
import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import Synchronization

/// What is set of a disk while it lives.
extension Supervisor {
    func set(_ request: SetRequest) throws(ControlError) -> DiskReport {
        let disk = try find(request.name)
        guard disk.isInLanes else { throw .busy("\(request.name) is being attached or detached") }
        try change(disk, request.settings)
        return try report(disk)
    }

    /// Changes settings by key, all or none, and puts them on record.
    func change(_ disk: AttachedDisk, _ changes: [String: String]) throws(ControlError) {
        try disk.changing.withLock { _ throws(ControlError) in
            var done: [(shard: DiskShard, before: DiskSettings)] = []
            do throws(ControlError) {
                for shard in disk.shards {
                    done.append((shard, try change(disk, shard, changes)))
                }
            } catch {
                // What one queue refuses, none has.
                for (shard, before) in done {
                    shard.perform { try? $0.lane.change($1, settings: before, now: $0.time) }
                }
                throw error
            }
            try keepSettings(disk.name, changes)
        }
    }

    /// Returns what was set before.
    private func change(
        _ disk: AttachedDisk, _ shard: DiskShard, _ changes: [String: String]
    ) throws(ControlError) -> DiskSettings {
        let limit = disk.kernelTimeoutSeconds
        // Read and changed in one piece on the lane's thread.
        let answer = shard.ask { runner, id -> Result<DiskSettings, ControlError>? in
            guard let settings = runner.lane.settings(of: id) else { return nil }
            do throws(ControlError) {
                let wanted = try changed(settings, changes)
                if let limit { try QueueRules.check(wanted, kernelTimeoutSeconds: limit) }
                do throws(DiskSettingError) {
                    try runner.lane.change(id, settings: wanted, now: runner.time)
                    return .success(settings)
                } catch {
                    throw ControlError(error)
                }
            } catch {
                return .failure(error)
            }
        }
        switch answer {
        case .success(let before): return before
        case .failure(let error): throw error
        case .some(nil): throw .busy("\(disk.name) is being detached")
        case nil:
            throw shard.id == nil
                ? .busy("\(disk.name) is being detached") : .internalFailure("the lane did not answer")
        }
    }

    /// So that a successor serves the disk as it was set last.
    private func keepSettings(_ name: DiskName, _ changes: [String: String]) throws(ControlError) {
        try changeRecord(name) { record in
            record.request.settings = record.request.allSettings.merging(changes) { _, new in new }
            record.request.policy = nil
        }
    }
}

/// Settings with changes made to them, all or none.
func changed(
    _ settings: DiskSettings, _ changes: [String: String]
) throws(ControlError) -> DiskSettings {
    var settings = settings
    for (key, text) in changes.sorted(by: { $0.key < $1.key }) {
        do throws(DiskSettingError) {
            try settings.set(key, to: text)
        } catch {
            throw ControlError(error)
        }
    }
    return settings
}

extension ControlError {
    init(_ error: DiskSettingError) {
        switch error {
        case .unknownKey(let key, let nearest):
            let keys = DiskSetting.all.map(\.key).joined(separator: ", ")
            self = .invalidArgument(
                "there is no setting \"\(key)\"",
                remedy: nearest.map { "did you mean \($0)?" } ?? "the settings are \(keys)")
        case .wrongValue(let key, let reason, let allowed):
            self = .invalidArgument("\(key): \(reason)", remedy: "\(key) may be \(allowed)")
        }
    }
}
