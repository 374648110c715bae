public import CausewayCore

/// What an administrator changes in the middle of a world.
extension World {
    /// The name of a path, as people type it.
    public static func name(interface: Int, portal: Int) -> PathName {
        PathName("eth\(interface)/198.51.100.\(portal)")
    }

    /// Adds a path to the living disk, or takes one that it has into use again.
    @discardableResult
    public func addPath(interface: Int, portal: Int) -> PathChangeError? {
        var route = routes.firstIndex { $0.interface == interface && $0.portal == portal }
        if route == nil {
            route = routes.count
            routes.append((interface, portal))
        }
        let added = specification(route ?? 0)
        if !activePaths.contains(route ?? 0) { activePaths.append(route ?? 0) }
        return changePaths("adds eth\(interface)-\(portal)") { (lane, now) throws(PathChangeError) in
            try lane.addPaths(disk, [added], now: now)
        }
    }

    @discardableResult
    public func retirePath(interface: Int, portal: Int, isRemoval: Bool, force: Bool = false)
        -> PathChangeError?
    {
        let name = Self.name(interface: interface, portal: portal)
        return changePaths("\(isRemoval ? "removes" : "disables") \(name.text)") {
            (lane, now) throws(PathChangeError) in
            try lane.retirePaths(disk, named: [name], isRemoval: isRemoval, force: force, now: now)
        }
    }

    @discardableResult
    public func enablePath(interface: Int, portal: Int) -> PathChangeError? {
        let name = Self.name(interface: interface, portal: portal)
        return changePaths("enables \(name.text)") { (lane, now) throws(PathChangeError) in
            try lane.enablePaths(disk, named: [name], now: now)
        }
    }

    private func changePaths(
        _ what: String, _ change: (inout Lane, Instant) throws(PathChangeError) -> Void
    ) -> PathChangeError? {
        chronicle.trace("admin", what)
        do throws(PathChangeError) {
            try change(&lane, instant)
        } catch {
            chronicle.trace("admin", "refused: \(error)")
            return error
        }
        work()
        return nil
    }

    /// Changes what the disk's paths log in with, from their next logins on.
    public func changeLogins(_ parameters: WantedParameters, depth: Int32) {
        chronicle.trace("admin", "other login settings")
        lane.change(
            disk, authentication: .none, parameters: parameters, depth: depth, now: instant)
        work()
    }

    /// Changes the policy of the living disk. Returns why it was not taken.
    @discardableResult
    public func set(policy: PathPolicy) -> DiskSettingError? {
        guard var settings = lane.settings(of: disk) else { return nil }
        settings.policy = policy
        do throws(DiskSettingError) {
            try lane.change(disk, settings: settings, now: instant)
        } catch {
            return error
        }
        chronicle.trace("admin", "policy \(policy)")
        work()
        return nil
    }

    /// Changes settings of the living disk. Returns why they were not taken.
    public func change(_ change: (inout DiskSettings) -> Void) -> DiskSettingError? {
        guard var settings = lane.settings(of: disk) else { return nil }
        change(&settings)
        do throws(DiskSettingError) {
            try lane.change(disk, settings: settings, now: instant)
        } catch {
            return error
        }
        work()
        return nil
    }

    /// Changes the timers of a disk while it lives.
    public func changeTimers(disk index: Int, _ change: (inout SessionTimers) -> Void) {
        let id = disks[index].id
        guard var settings = lane.settings(of: id) else { return chronicle.fail("no such disk") }
        change(&settings.timers)
        do throws(DiskSettingError) {
            try lane.change(id, settings: settings, now: instant)
        } catch {
            chronicle.fail("timers are refused: \(error)")
        }
        work()
    }
}
