public import CausewayControl

/// What the daemon does for its clients: the supervisor, seen from the control socket.
///
/// The methods block until the answer is known; every connection calls them on a thread of its own, several
/// at once. Requests are checked already (`validate()`), and callers may change things: see `Access`.
public protocol DiskService: Sendable {
    func discover(_ request: DiscoverRequest) throws(ControlError) -> Discovery
    /// Returns once the first path is up and the disk is exposed.
    func attach(_ request: AttachRequest) throws(ControlError) -> DiskReport
    func detach(_ request: DetachRequest) throws(ControlError)
    func list() throws(ControlError) -> [DiskSummary]
    func status(_ name: DiskName) throws(ControlError) -> DiskReport
}
