public import CausewayControl

/// What the daemon does for its clients: the supervisor, seen from the control socket.
///
/// The methods block until the answer is known; every connection calls them on a thread of its own, several
/// at once. Requests are checked already (`validate()`), and callers may change things: see `Access`.
public protocol DiskService: Sendable {
    func discover(_ request: DiscoverRequest) throws(ControlError) -> Discovery
    /// Returns once the first path is up and the disk is exposed.
    func attach(_ request: AttachRequest) throws(ControlError) -> DiskReport
    /// Attaches a disk as its file says.
    func attachConfigured(_ name: DiskName) throws(ControlError) -> DiskReport
    /// Changes settings of a disk while it lives.
    func set(_ request: SetRequest) throws(ControlError) -> DiskReport
    func addPaths(_ request: AddPathsRequest) throws(ControlError) -> DiskReport
    func changePaths(_ request: ChangePathsRequest, _ change: PathChange) throws(ControlError) -> DiskReport
    func detach(_ request: DetachRequest) throws(ControlError)
    /// Asks every path how large its LUN is now.
    func rescan(_ request: RescanRequest) throws(ControlError) -> DiskReport
    /// Does something about persistent reservations, and tells what they are then.
    func reserve(_ request: ReserveRequest) throws(ControlError) -> ReservationStatus
    /// Reads the configuration again and applies it.
    func reload(_ request: ReloadRequest) throws(ControlError) -> ReloadReport
    func list() throws(ControlError) -> [DiskSummary]
    func status(_ name: DiskName) throws(ControlError) -> DiskReport
    func parameters(_ name: DiskName) throws(ControlError) -> ParametersReport
}

/// What is done to a path that is there.
public enum PathChange: Sendable {
    case remove, disable, enable
}
