import CausewayCore

/// Where clients of a disk come in.
struct LaneListener {
    var descriptor: Int32
    var disk: DiskID
    /// Takes a client to another lane, or returns false.
    var passOn: (@Sendable (Int32) -> Bool)?
}
