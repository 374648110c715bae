/// How long to wait before the next attempt at a path: it doubles from attempt to attempt, so that a target
/// that is away is not stormed, and stays short enough that a path which came back is soon used again.
struct RetryDelay: BitwiseCopyable {
    static let firstMilliseconds: UInt64 = 50
    static let unreachableMaxMilliseconds: UInt64 = 1000
    /// A target that refuses a login has been reached: what is wrong is not mended within a second.
    static let refusedMaxMilliseconds: UInt64 = 15_000

    private var milliseconds = firstMilliseconds

    mutating func next(wasRefused: Bool) -> UInt64 {
        let delay = milliseconds
        let limit = wasRefused ? Self.refusedMaxMilliseconds : Self.unreachableMaxMilliseconds
        milliseconds = min(milliseconds * 2, limit)
        return min(delay, limit)
    }

    mutating func reset() { milliseconds = Self.firstMilliseconds }
}
