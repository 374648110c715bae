public import CausewayControl

/// A daemon that has no disks and cannot attach any, until the supervisor takes this place.
public struct NoDisks: DiskService {
    public init() {}

    public func discover(_: DiscoverRequest) throws(ControlError) -> Discovery { throw Self.unable }
    public func attach(_: AttachRequest) throws(ControlError) -> DiskReport { throw Self.unable }
    public func detach(_ request: DetachRequest) throws(ControlError) { throw .noSuchDisk(request.name) }
    public func list() throws(ControlError) -> [DiskSummary] { [] }
    public func status(_ name: DiskName) throws(ControlError) -> DiskReport { throw .noSuchDisk(name) }

    private static var unable: ControlError { .internalFailure("this daemon was built without a supervisor") }
}
