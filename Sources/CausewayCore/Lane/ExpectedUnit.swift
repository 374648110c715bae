/// What a LUN must be to take the place of one that was there before.
public struct ExpectedUnit: Equatable, Sendable {
    /// `LogicalUnitIdentity.wwid`
    public var wwid: String
    /// The size of the disk, whatever the LUN's is by now.
    public var sizeBytes: UInt64
    public var logicalBlockLength: UInt32

    public init(wwid: String, sizeBytes: UInt64, logicalBlockLength: UInt32) {
        self.wwid = wwid
        self.sizeBytes = sizeBytes
        self.logicalBlockLength = logicalBlockLength
    }

    /// Why a LUN does not do, or nil if it does. It may have grown, or shrunk as under any
    /// disk that is in use.
    func difference(from report: LogicalUnitReport) -> String? {
        let names = [report.identity] + report.identification.identities
        guard names.contains(where: { $0.wwid == wwid }) else {
            return "\(report.identity) instead of \(wwid)"
        }
        guard report.limits.logicalBlockLength == logicalBlockLength else {
            return "blocks of \(report.limits.logicalBlockLength) bytes instead of \(logicalBlockLength)"
        }
        return nil
    }
}
