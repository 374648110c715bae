/// What the daemon offers, in Varlink's interface definition language.
public enum InterfaceDescription {
    public static let name = "io.causeway"
    public static let serviceName = "org.varlink.service"

    public enum Method {
        public static let discover = "io.causeway.Discover"
        public static let attach = "io.causeway.Attach"
        public static let attachConfigured = "io.causeway.AttachConfigured"
        public static let set = "io.causeway.Set"
        public static let addPaths = "io.causeway.AddPaths"
        public static let removePaths = "io.causeway.RemovePaths"
        public static let disablePaths = "io.causeway.DisablePaths"
        public static let enablePaths = "io.causeway.EnablePaths"
        public static let detach = "io.causeway.Detach"
        public static let rescan = "io.causeway.Rescan"
        public static let reserve = "io.causeway.Reserve"
        public static let reload = "io.causeway.Reload"
        public static let list = "io.causeway.List"
        public static let status = "io.causeway.Status"
        public static let params = "io.causeway.Params"
        public static let getInfo = "org.varlink.service.GetInfo"
        public static let getInterfaceDescription = "org.varlink.service.GetInterfaceDescription"
    }

    /// Errors that Varlink defines for every service.
    public enum ServiceError {
        public static let interfaceNotFound = "org.varlink.service.InterfaceNotFound"
        public static let methodNotFound = "org.varlink.service.MethodNotFound"
        public static let methodNotImplemented = "org.varlink.service.MethodNotImplemented"
        public static let invalidParameter = "org.varlink.service.InvalidParameter"
    }

    public static let causeway = """
        # Disks of iSCSI targets, over several bound interfaces, as /dev/nbdX or on a Unix socket.
        # Root may call every method; members of the socket's group may call List and Status.
        interface io.causeway

        # Where a target listens. The interface is the bound one through which the portal was learned.
        type Portal (address: string, port: int, groupTag: int, interface: ?string)

        # A logical unit. What could not be asked is absent, and error says why.
        type LUN (
          lun: int,
          sizeBytes: ?int,
          blockLength: ?int,
          vendor: ?string,
          model: ?string,
          serial: ?string,
          wwid: ?string,
          error: ?string
        )

        type Target (name: string, portals: []Portal, luns: []LUN)

        # One bound interface x one portal. Its state is one of connecting, login, verifying, active, standby,
        # suspect, quarantined, fencing, down, mismatch, disabled, removing, waiting; later versions may add
        # others. accessGroup is the target port group of asymmetric access that it leads to.
        type Path (
          interface: ?string,
          sourceAddress: ?string,
          portal: string,
          portalGroupTag: ?int,
          state: string,
          reason: ?string,
          inFlight: int,
          ios: int,
          readBytes: int,
          writtenBytes: int,
          latencyMicroseconds: int,
          latencyP99Microseconds: ?int,
          errors: int,
          digestErrors: int,
          fences: int,
          lastFence: ?string,
          accessGroup: ?int,
          accessState: ?string,
          preferred: bool,
          health: Health
        )

        # How well a path has been. Round trip and segments sent again are of the present connection; fences
        # are counted by their proof; quarantines end in microseconds since 1970-01-01 00:00 UTC.
        type Health (
          rttMicroseconds: ?int,
          retransmits: ?int,
          losses: int,
          pings: int,
          suspicions: int,
          quarantines: int,
          quarantinedUntilMicroseconds: ?int,
          hedgedReads: int,
          hedgesWon: int,
          fencesByBarrier: int,
          fencesByLogin: int,
          lastFenceMicroseconds: ?int,
          heldWrites: int,
          reassigned: int
        )

        # A queue of a disk that has several: its session on each path. In Disk, paths has the sum of them.
        type Queue (paths: []Path)

        # Requests since the disk was attached; held counts those that wait now.
        type Counters (
          reads: int,
          writes: int,
          flushes: int,
          trims: int,
          writeZeroes: int,
          readBytes: int,
          writtenBytes: int,
          errors: int,
          resent: int,
          fences: int,
          fencedWrites: int,
          hedgedReads: int,
          held: int,
          activations: int,
          resets: int,
          unfenced: int
        )

        # The time is in microseconds since 1970-01-01 00:00 UTC.
        type Event (timeMicroseconds: int, message: string)

        # The state is one of attaching, optimal, degraded, all-paths-down, permanent-device-loss, detaching;
        # later versions may add others.
        type DiskSummary (
          name: string,
          device: ?string,
          socket: ?string,
          state: string,
          target: string,
          lun: int,
          sizeBytes: int,
          readOnly: bool,
          pathsActive: int,
          pathsTotal: int,
          notes: []string
        )

        type Disk (
          name: string,
          device: ?string,
          socket: ?string,
          state: string,
          target: string,
          lun: int,
          sizeBytes: int,
          blockLength: int,
          wwid: ?string,
          vendor: string,
          model: string,
          readOnly: bool,
          policy: string,
          settings: [string]string,
          paths: []Path,
          queues: ?[]Queue,
          counters: Counters,
          notes: []string,
          events: []Event
        )

        # A key of RFC 7143: what it may be set to, the standard's default, and how its value comes about.
        type ParameterKey (key: string, allowed: string, standard: ?string, rule: string)

        # What logins on a path ask for, and what the latest one settled, by key; and how the sides proved in it
        # who they are: None, or CHAP with its hash function. A disk with several queues has each path once for
        # each of them.
        type PathParameters (
          queue: ?int,
          interface: ?string,
          portal: string,
          wanted: [string]string,
          negotiated: ?[string]string,
          authentication: ?string
        )

        # Names, and paths of files that hold the secrets and that only root can read.
        type CHAP (user: string, secretFile: string, mutualUser: ?string, mutualSecretFile: ?string)

        # What Reload did with a disk. The outcome is one of attaching, unchanged, changed, detached,
        # file-removed, given-up, busy; later versions may add others. needsLogin holds from a path's next login
        # on, oldLogins are the paths that have not made it; needsAttach was left alone.
        type ReloadedDisk (
          name: string,
          outcome: string,
          applied: []string,
          needsLogin: []string,
          oldLogins: []string,
          loggedIn: []string,
          needsAttach: []string,
          problems: []string
        )

        # Who is registered at a disk's LUN and who has reserved it. The state is one of wanted, standing,
        # evicted: another host has taken the key away, and writes fail until it is registered again. holder is
        # absent where the LUN is not reserved, and where all registrants hold the reservation.
        type Reservations (
          name: string,
          key: ?string,
          state: ?string,
          paths: []string,
          pinnedPath: ?string,
          generation: int,
          keys: []string,
          type: ?string,
          holder: ?string,
          problems: []string
        )

        # Asks portals (ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT) for their targets, through each of the
        # interfaces. With luns, logs in to every target and describes its logical units.
        method Discover(portals: []string, interfaces: ?[]string, luns: ?bool, chap: ?CHAP) -> (
          targets: []Target,
          problems: []string
        )

        # Logs in on every interface x portal and exposes the LUN once the first path is up, as a kernel
        # device or, with socket (an absolute path), on a Unix socket. With persist the disk's file is written,
        # and the disk attached whenever the daemon runs.
        method Attach(
          name: string,
          target: string,
          portals: ?[]string,
          discovery: ?string,
          interfaces: ?[]string,
          lun: int,
          socket: ?string,
          readOnly: ?bool,
          force: ?bool,
          policy: ?string,
          settings: ?[string]string,
          queueDepth: ?int,
          waitForInterfaces: ?bool,
          persist: ?bool,
          queues: ?int,
          chap: ?CHAP
        ) -> (disk: Disk)

        # Attaches a disk as its file says.
        method AttachConfigured(name: string) -> (disk: Disk)

        # Changes settings of a disk while it lives, by key; a key or value that is wrong changes nothing.
        # The policy may be given to Attach as a setting or by its own name.
        method Set(name: string, settings: [string]string) -> (disk: Disk)

        # Adds paths to a disk that is attached: of the interfaces, or those that it has, to the portals, or
        # those that it has. Disks of one target share its paths.
        method AddPaths(name: string, interfaces: ?[]string, portals: ?[]string) -> (disk: Disk)

        # Takes paths away, or out of use until they are enabled. A path is named by its interface, its portal
        # or both (INTERFACE/PORTAL). The last path that works is only taken by force.
        method RemovePaths(name: string, paths: []string, force: ?bool) -> (disk: Disk)
        method DisablePaths(name: string, paths: []string, force: ?bool) -> (disk: Disk)
        method EnablePaths(name: string, paths: []string, force: ?bool) -> (disk: Disk)

        # Flushes, takes the device away and logs out. A device in use stays, unless force is true. With forget
        # the disk's file is removed too, also of a disk that is not attached.
        method Detach(name: string, force: ?bool, forget: ?bool) -> ()

        # Asks every path how large the LUN is now. A larger LUN makes the disk larger without that; a smaller
        # one makes it smaller only with allowShrink.
        method Rescan(name: string, allowShrink: ?bool) -> (disk: Disk)

        # Persistent reservations (SPC-4). The action is one of register, unregister, reserve, release, preempt,
        # preempt-abort, clear, status. Keys are hexadecimal; a key is registered on all paths, and on those that
        # come later. The type is write-exclusive or exclusive-access, alone or with -registrants-only or
        # -all-registrants.
        method Reserve(
          name: string,
          action: string,
          key: ?string,
          type: ?string,
          victim: ?string,
          aptpl: ?bool
        ) -> (reservations: Reservations)

        # Reads the configuration again and applies it, to disks in use too. Where a file has a mistake nothing
        # is changed, and the error has all of them. With relogin, paths whose login settings have changed are
        # logged in anew, one after the other and never the last one that works.
        method Reload(relogin: ?bool) -> (disks: []ReloadedDisk, notes: []string)

        method List() -> (disks: []DiskSummary)

        method Status(name: string) -> (disk: Disk)

        # The keys of RFC 7143 that are negotiated for the disk's sessions, path by path.
        method Params(name: string) -> (keys: []ParameterKey, paths: []PathParameters)

        # Every error says what is wrong (message) and what to do about it (remedy).
        error NoSuchInterface (message: string, remedy: string)
        error InterfaceWithoutAddress (message: string, remedy: string)
        error PortalUnreachable (message: string, remedy: string)
        error TargetNotFound (message: string, remedy: string)
        # The status of the login response, RFC 7143 §11.13.5.
        error LoginRefused (message: string, remedy: string, statusClass: ?int, statusDetail: ?int)
        # One side does not prove to the other who it is (CHAP).
        error AuthenticationFailed (message: string, remedy: string)
        error NoSuchLUN (message: string, remedy: string)
        error AlreadyAttached (message: string, remedy: string)
        # The holders are mount points, processes or devices.
        error DeviceInUse (message: string, remedy: string, holders: ?[]string)
        error FlushFailed (message: string, remedy: string)
        error NBDModuleAbsent (message: string, remedy: string)
        error ReservationConflict (message: string, remedy: string)
        error NoSuchDisk (message: string, remedy: string)
        # The problems name file and line each.
        error WrongConfiguration (message: string, remedy: string, problems: ?[]string)
        error PermissionDenied (message: string, remedy: string)
        error InvalidName (message: string, remedy: string)
        error InvalidArgument (message: string, remedy: string)
        error Busy (message: string, remedy: string)
        error Internal (message: string, remedy: string)

        """

    /// As https://varlink.org/Service defines it for every service.
    public static let service = """
        # The interface that every Varlink service offers.
        interface org.varlink.service

        method GetInfo() -> (
          vendor: string,
          product: string,
          version: string,
          url: string,
          interfaces: []string
        )

        method GetInterfaceDescription(interface: string) -> (description: string)

        error InterfaceNotFound (interface: string)
        error MethodNotFound (method: string)
        error MethodNotImplemented (method: string)
        error InvalidParameter (parameter: string)
        error PermissionDenied ()
        error ExpectedMore ()

        """
}
