/// What comes of commands of reservations, and what other hosts do.
extension Lane {
    /// The log says so often that another host has reserved the LUN.
    private static var newsMilliseconds: UInt64 { 10_000 }
    /// For so long a command that met a conflict waits for what becomes clear of it.
    private static var conflictMilliseconds: UInt64 { 3000 }

    // MARK: Results

    mutating func end(_ result: Result<ReservationReport, ReservationError>, _ cold: Disk) {
        cold.reservations.deadline = .never
        let id = DiskID(rawValue: cold.index)
        effects.append(.notice(.reservationEnded(id, ticket: cold.reservations.ticket, result)))
    }

    /// A registration over this path that is not proved yet is on record before it goes out.
    mutating func noteOrder(_ order: PersistentReserveOrder, _ path: Path, _ cold: Disk) {
        guard case .path(_, let registration) = cold.reservations.work, registration.isUnproved else {
            return
        }
        noteProof(registration, path, cold)
    }

    mutating func noteProof(_ work: PathRegistration, _ path: Path, _ cold: Disk) {
        guard var registration = cold.reservations.registration else { return }
        if work.isUnproved {
            registration.unproved.insert(path.nexusName)
        } else {
            registration.unproved.remove(path.nexusName)
        }
        setRegistration(registration, cold)
    }

    mutating func pathRegistered(_ index: Int32, _ cold: Disk, _ verdict: PathRegistration.Verdict) {
        let path = paths[Int(index)]
        switch verdict {
        case .registered:
            guard path.isUp, path.target == cold.target, var registration = cold.reservations.registration
            else { return }
            path.registered.insert(cold.index)
            if registration.state == .wanted {
                registration.state = .standing
                setRegistration(registration, cold)
            }
            // It shows its LUN once more: what it has shown may be out of date by now.
            path.reprobeAt = now
            wake(at: now)
        case .evicted(let reason):
            evict(cold, reason)
            reprobeAll(cold)
        case .failed(let text):
            guard path.isUp, path.target == cold.target else { return }
            problem(path, cold.index, .notReady, text)
        }
    }

    mutating func runEnded(_ run: ReservationRun, _ cold: Disk, isAsked: Bool) {
        apply(run, cold)
        if isAsked && run.command != .status { cold.reservations.shutOut = [] }
        if let keys = run.keys, let registration = cold.reservations.registration,
            registration.state == .standing
        {
            if keys.count(of: registration.key) == 0 && !keys.isTruncated {
                evict(cold, "its reservation key \(registration.key) is not registered any more")
            } else if run.outcome == .done {
                judgeConflicts(run.reservation, cold)
            }
        }
        guard isAsked else { return }
        switch run.outcome {
        case .failed(let error): end(.failure(error), cold)
        case .done: end(.success(report(run, cold)), cold)
        }
        reprobeAll(cold)
    }

    private func report(_ run: ReservationRun, _ cold: Disk) -> ReservationReport {
        let all = targets[Int(cold.target)].paths.map { paths[Int($0)] }.filter { !$0.isFenceOnly }
        var problems = run.problems.map { "\(paths[Int($0.path)].name): \($0.text)" }
        if run.command == .unregister {
            problems += all.filter { !run.paths.contains($0.index) }.map {
                "\($0.name): it is not up, and what the target has registered for it stays"
            }
        }
        return ReservationReport(
            generation: run.keys?.generation ?? 0, keys: run.keys?.keys ?? [],
            holder: run.reservation?.holder, registration: cold.reservations.registration,
            registeredPaths: all.filter { $0.registered.contains(cold.index) }.map(\.name),
            problems: problems)
    }

    /// What a run has changed, also one that failed half-way.
    private mutating func apply(_ run: ReservationRun, _ cold: Disk) {
        let disk = cold.index
        var registration = cold.reservations.registration
        switch run.command {
        case .register:
            if run.isPreempted {
                registration?.state = .standing
                setRegistration(registration, cold)
                return evict(cold, "another host has pre-empted its reservation key while it was registered")
            }
            guard !run.done.isEmpty else {
                registration = cold.reservations.before
                break
            }
            for index in run.done where paths[Int(index)].isUp { paths[Int(index)].registered.insert(disk) }
            for (index, text) in run.problems where paths[Int(index)].isUp {
                paths[Int(index)].registered.remove(disk)
                problem(paths[Int(index)], disk, .notReady, "its reservation key is not registered: \(text)")
            }
            registration?.state = .standing
        case .unregister, .clear:
            // Where the LUN refuses even that there is nothing to be kept either.
            guard run.outcome == .done || run.command == .unregister && !run.isUnknown else { return }
            for index in targets[Int(cold.target)].paths { paths[Int(index)].registered.remove(disk) }
            return setRegistration(nil, cold)
        case .reserve, .preempt, .release, .status: break
        }
        if run.outcome == .done, let reservation = run.reservation {
            let pinned = pinnedPath(reservation, run, registration)
            registration?.pinnedPath = pinned
        }
        setRegistration(registration, cold)
    }

    /// A reservation with one holder nexus that is this host's belongs to the path that made it.
    private func pinnedPath(
        _ reservation: PersistentReservation, _ run: ReservationRun, _ registration: DiskRegistration?
    ) -> String? {
        guard let holder = reservation.holder, let registration, holder.type.hasOneNexus,
            holder.key == registration.key
        else { return nil }
        return registration.pinnedPath ?? run.done.last.map { paths[Int($0)].name }
    }

    /// Paths that waited, or were kept out, are asked anew.
    private mutating func reprobeAll(_ cold: Disk) {
        cold.reservations.waiting = []
        for index in targets[Int(cold.target)].paths where paths[Int(index)].isUp {
            let bit: UInt32 = 1 &<< UInt32(paths[Int(index)].ordinal)
            guard diskQueues[cold.index].shown & bit == 0 else { continue }
            paths[Int(index)].reprobeAt = now
        }
        wake(at: now)
    }

    mutating func setRegistration(_ registration: DiskRegistration?, _ cold: Disk) {
        guard cold.reservations.registration != registration else { return }
        cold.reservations.registration = registration
        let disk = cold.index
        // Until the key is back, writes would only meet a conflict.
        let isEvicted =
            registration?.state == .evicted || registration?.state == .wanted && diskQueues[disk].isEvicted
        if isEvicted != diskQueues[disk].isEvicted {
            diskQueues[disk].isEvicted = isEvicted
            diskQueues[disk].fenceDebts += isEvicted ? 1 : -1
        }
        effects.append(.notice(.registrationChanged(DiskID(rawValue: disk), registration)))
        if !isEvicted { pumpPending() }
    }

    // MARK: Another host

    /// What sense data says of reservations, on a session that is registered. On one that is not, the list of
    /// keys is asked.
    mutating func noteReservations(_ notices: TargetNotices, _ path: Path, _ disk: Int32) {
        let cold = disks[Int(disk)]
        // A target that lost its power may have lost registrations.
        if notices.contains(.restarted) && cold.reservations.registration?.state == .standing {
            checkRegistration(cold)
        }
        guard !notices.isDisjoint(with: [.reservationsPreempted, .registrationsPreempted]),
            path.registered.contains(disk)
        else { return }
        if case .run(let run, isAsked: true) = cold.reservations.work, run.explainsLosses { return }
        evict(
            cold,
            notices.contains(.registrationsPreempted)
                ? "another host has pre-empted its registration (6/2A/05)"
                : "another host has pre-empted or cleared its reservation (6/2A/03)")
    }

    private mutating func checkRegistration(_ cold: Disk) {
        cold.reservations.wantsCheck = true
        cold.reservations.isRetryDue = true
        wake(at: now)
    }

    /// Another host has taken the LUN: this one's writes fail from now on, and it does not register again by
    /// itself.
    private mutating func evict(_ cold: Disk, _ reason: String) {
        guard var registration = cold.reservations.registration, registration.state != .evicted else {
            return
        }
        registration.state = .evicted
        registration.pinnedPath = nil
        let disk = cold.index
        for index in targets[Int(cold.target)].paths { paths[Int(index)].registered.remove(disk) }
        cold.reservations.refused = []
        setRegistration(registration, cold)
        tell(
            .error, cold,
            "\(reason): writes fail, and nothing is registered again, until "
                + "causeway reserve \(cold.name) register")
        var late: [Int32] = []
        var task = diskQueues[disk].pending.first
        while task >= 0 {
            if tasks[task].kind.isWrite { late.append(task) }
            task = tasks[task].next
        }
        for task in late where tasks[task].state == .pending {
            diskQueues[disk].pending.remove(task, tasks)
            finishTask(task, error: NBDError.inputOutput.rawValue)
        }
        reprobeAll(cold)
        pumpPending()
    }

    /// RESERVATION CONFLICT. Where this host holds its key the LUN is asked whose doing it is, and the
    /// command waits for that; else another host has reserved the LUN, and no other path would do.
    mutating func conflict(_ task: Int32, _ path: Path) {
        let cold = disks[Int(tasks[task].disk)]
        if mayClear(task, path, cold) {
            cold.reservations.refused.insert(path.index)
            if !cold.reservations.wantsCheck { checkRegistration(cold) }
            tasks[task].attempts -= 1
            return putOff(task, milliseconds: 20)
        }
        pathQueues[path.index].counters.errors &+= 1
        let isNews = cold.reservations.toldAt.map {
            now.nanoseconds(since: $0) >= Self.newsMilliseconds * 1_000_000
        }
        if isNews ?? true {
            cold.reservations.toldAt = now
            tell(
                .error, cold,
                "\(path.name): RESERVATION CONFLICT: another host has reserved the LUN, and a "
                    + "\(tasks[task].kind) at LBA \(tasks[task].lba) fails; see "
                    + "causeway reserve \(cold.name) status")
        }
        finishTask(task, error: NBDError.inputOutput.rawValue)
    }

    private func mayClear(_ task: Int32, _ path: Path, _ cold: Disk) -> Bool {
        guard let registration = cold.reservations.registration, registration.state != .evicted,
            tasks[task].putOffMilliseconds < Self.conflictMilliseconds
        else { return false }
        return cold.reservations.isForeignUntil.map { $0 <= now } ?? true
    }

    /// What conflicts of registered paths come to, now that the reservation is known.
    private mutating func judgeConflicts(_ reservation: PersistentReservation?, _ cold: Disk) {
        let refused = cold.reservations.refused
        cold.reservations.refused = []
        guard !refused.isEmpty, let holder = reservation?.holder else { return }
        guard holder.isHeld(by: cold.reservations.key) else {
            cold.reservations.isForeignUntil = now.adding(milliseconds: Self.newsMilliseconds)
            return wake(at: now)
        }
        for index in refused.sorted() where paths[Int(index)].registered.contains(cold.index) {
            let path = paths[Int(index)]
            path.registered.remove(cold.index)
            cold.reservations.shutOut.insert(path.nexusName)
            problem(path, cold.index, .notReady, DiskRegistration.onlyHolderWrites)
        }
    }

    /// A write of a disk whose I/O fails, whose client is gone, or which another host has taken.
    func isHopeless(_ task: Int32, _ disk: Int32) -> Bool {
        diskQueues[disk].isFailing || isOrphanedWrite(task, disk)
            || diskQueues[disk].isEvicted && tasks[task].kind.isWrite
    }
}
