/// The sentences of every error, in one place.
extension ControlError {
    public static func noSuchInterface(_ interface: String) -> ControlError {
        ControlError(
            kind: .noSuchInterface, message: "there is no network interface \"\(interface)\"",
            remedy: "see the names with: ip -brief link")
    }

    /// `family` is `IPv4` or `IPv6`: what the portal needs.
    public static func interfaceWithoutAddress(_ interface: String, family: String) -> ControlError {
        ControlError(
            kind: .interfaceWithoutAddress, message: "the interface \(interface) has no \(family) address",
            remedy:
                "give it one in the portal's network; look with: ip -brief address show \(interface)"
        )
    }

    /// `reason` is what the connection attempt ended with, such as `connection refused`.
    public static func portalUnreachable(
        _ portal: PortalAddress, interface: String? = nil, reason: String
    ) -> ControlError {
        let through = interface.map { " through \($0)" } ?? ""
        return ControlError(
            kind: .portalUnreachable, message: "the portal \(portal) cannot be reached\(through): \(reason)",
            remedy:
                "check its address and port, that the target runs, and the cabling, VLAN and firewall between"
        )
    }

    /// `known` are the names that the portal offers instead, if that was asked.
    public static func targetNotFound(
        _ target: String, portal: PortalAddress, known: [String] = []
    ) -> ControlError {
        let remedy =
            known.isEmpty
            ? "see what it offers with: causeway discover \(portal)"
            : "it offers \(known.joined(separator: ", "))"
        return ControlError(
            kind: .targetNotFound, message: "the portal \(portal) has no target \"\(target)\"", remedy: remedy
        )
    }

    /// `target` is nil for a discovery session; `initiator` is the name that was logged in with; `reason` is
    /// the status in words, such as `authentication failure`.
    public static func loginRefused(
        _ target: String?, portal: PortalAddress, interface: String? = nil, initiator: String,
        statusClass: UInt8, statusDetail: UInt8, reason: String
    ) -> ControlError {
        let through = interface.map { " through \($0)" } ?? ""
        let login = target.map { " to \($0)" } ?? " of a discovery session"
        let status = hexByte(statusClass) + hexByte(statusDetail)
        return ControlError(
            kind: .loginRefused,
            message:
                "the portal \(portal)\(through) refused the login\(login): \(reason) "
                + "(login status \(status))",
            remedy: loginRemedy(statusClass, statusDetail, portal, initiator), statusClass: statusClass,
            statusDetail: statusDetail)
    }

    /// `reason` says which side does not prove what, and what to set.
    public static func authenticationFailed(_ target: String, place: String, reason: String) -> ControlError {
        ControlError(
            kind: .authenticationFailed, message: "\(target) at \(place): \(reason)",
            remedy: "see CHAP in causeway.toml(5); causeway attach and discover take --chap-user and "
                + "--chap-secret-file")
    }

    /// RFC 7143 §11.13.5.
    private static func loginRemedy(
        _ statusClass: UInt8, _ statusDetail: UInt8, _ portal: PortalAddress, _ initiator: String
    ) -> String {
        switch (statusClass, statusDetail) {
        case (1, _): "use the address that the target redirects to as the portal"
        case (2, 1):
            "check that the initiator name \(initiator) and its CHAP user and secret "
                + "are what the target expects"
        case (2, 2): "the initiator name to allow on the target is \(initiator)"
        case (2, 3), (2, 4): "check the target's name with: causeway discover \(portal)"
        case (2, 6): "the target allows no more connections; raise its limit or use fewer paths"
        case (2, 11): "the target refuses this initiator's parameters; its log says which"
        case (2, _): "the target's log says what it did not like"
        // What LIO answers to the name of a target that it does not have.
        case (3, 1):
            "check the target's name with: causeway discover \(portal); if it is right, try again later"
        case (3, 2): "the target is out of resources; try again later or use fewer paths"
        case (3, _): "the target has trouble of its own; its log says more"
        default: "the target's log says more"
        }
    }

    private static func hexByte(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }

    /// `existing` are the LUNs that the target reports.
    public static func noSuchLUN(_ lun: UInt64, target: String, existing: [UInt64]) -> ControlError {
        let remedy =
            existing.isEmpty
            ? "the target shows this initiator no LUN at all: map one to it"
            : "it has \(existing.map(String.init).joined(separator: ", "))"
        return ControlError(kind: .noSuchLUN, message: "\(target) has no LUN \(lun)", remedy: remedy)
    }

    /// `place` is the device or the socket of the disk that has the name.
    public static func alreadyAttached(_ name: DiskName, at place: String) -> ControlError {
        ControlError(
            kind: .alreadyAttached, message: "a disk named \(name) is attached already, at \(place)",
            remedy: "choose another name, or detach it first with: causeway detach \(name)")
    }

    /// `holders` say by whom, such as `mounted on /srv` or `process 812 (fio)`.
    public static func deviceInUse(_ name: DiskName, device: String, holders: [String]) -> ControlError {
        let by = holders.isEmpty ? "" : ": \(holders.joined(separator: ", "))"
        return ControlError(
            kind: .deviceInUse, message: "\(name) (\(device)) is in use\(by)",
            remedy: "end that first; --force detaches all the same, and what is not written by then is lost",
            holders: holders)
    }

    /// A detach that was to leave nothing in the LUN's cache. `isGone`: the disk is detached all the same.
    public static func flushFailed(_ name: DiskName, reason: String, isGone: Bool) -> ControlError {
        ControlError(
            kind: .flushFailed,
            message: "the last flush of \(name) failed: \(reason)"
                + (isGone ? "; the disk is detached, and what was written last may be lost" : ""),
            remedy: isGone
                ? "check the data on the LUN"
                : "the disk stays attached; see its paths with: causeway status \(name); "
                    + "--force detaches all the same, and what is not on the medium by then may be lost")
    }

    /// The LUN is a device of this machine already, under open-iscsi say.
    public static func identityInUse(_ wwid: String, device: String) -> ControlError {
        ControlError(
            kind: .deviceInUse, message: "the LUN \(wwid) is \(device) on this machine already",
            remedy:
                "log it out there first; --force attaches it too, and writing through both corrupts it",
            holders: [device])
    }

    /// `reason` is why the daemon could not load it itself, such as what modprobe said; `isInstalled`:
    /// whether there is a file to load, nil where the daemon cannot see it.
    public static func nbdModuleAbsent(reason: String = "", isInstalled: Bool? = true) -> ControlError {
        let load = "load it with: modprobe nbd"
        let install =
            "install the modules of the running kernel (Debian: the package linux-image-$(uname -r); "
            + "Ubuntu: linux-modules-extra-$(uname -r)), or restart the machine if its kernel was upgraded"
        let remedy =
            switch isInstalled {
            case true?: load
            case false?: install
            case nil: "\(load); if that finds none, \(install)"
            }
        return ControlError(
            kind: .nbdModuleAbsent,
            message: "the kernel's nbd module is not loaded" + (reason.isEmpty ? "" : ": \(reason)"),
            remedy: remedy + "; or export the disk on a Unix socket with --socket PATH")
    }

    public static func noSuchDisk(_ name: DiskName) -> ControlError {
        ControlError(
            kind: .noSuchDisk, message: "no disk named \(name) is attached",
            remedy: "see the disks with: causeway list")
    }

    /// The disk has no file; `path` is where it would be.
    public static func notConfigured(_ name: DiskName, path: String) -> ControlError {
        ControlError(
            kind: .noSuchDisk, message: "no disk named \(name) is configured: there is no \(path)",
            remedy: "attach it with its target, portals and LUN, and --persist to write that file")
    }

    /// `problems` name file and line each.
    public static func wrongConfiguration(_ problems: [String]) -> ControlError {
        ControlError(
            kind: .wrongConfiguration,
            message: "the configuration cannot be used: \(problems.joined(separator: "; "))",
            remedy: "correct it; causeway config check shows all that is wrong", problems: problems)
    }

    /// `action` is what was asked for, such as `attach`.
    public static func permissionDenied(_ action: String) -> ControlError {
        ControlError(
            kind: .permissionDenied, message: "only root may \(action)", remedy: "run the command as root")
    }

    public static func reservationConflict(_ name: DiskName, _ reason: String) -> ControlError {
        ControlError(
            kind: .reservationConflict, message: "RESERVATION CONFLICT: \(reason)",
            remedy: "see who holds what with: causeway reserve \(name) status")
    }

    public static func invalidName(_ name: String) -> ControlError {
        ControlError(
            kind: .invalidName, message: "\"\(name)\" cannot be the name of a disk",
            remedy: "use 1 to \(DiskName.lengthMax) of a-z, 0-9, - and _, the first a letter or digit")
    }

    public static func invalidArgument(_ message: String, remedy: String) -> ControlError {
        ControlError(kind: .invalidArgument, message: message, remedy: remedy)
    }

    public static func busy(_ message: String) -> ControlError {
        ControlError(kind: .busy, message: message, remedy: "try again in a moment")
    }

    public static func internalFailure(_ message: String) -> ControlError {
        ControlError(
            kind: .internalFailure, message: message,
            remedy: "see the daemon's log with: journalctl -u causewayd")
    }
}
