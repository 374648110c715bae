/// How long to wait before the next attempt at a path: it doubles from attempt to attempt, so that a target
/// that is away is not stormed, and stays short enough that a path which came back is soon used again.
struct RetryDelay: BitwiseCopyable {
    static let firstMilliseconds: UInt64 = 50
    static let unreachableMaxMilliseconds: UInt64 = 500
    /// A target that refuses a login has been reached. While it starts it may refuse for a moment; after that
    /// what is wrong is not mended within a second.
    static let refusedMaxMilliseconds: UInt64 = 15_000
    static let startingMaxMilliseconds: UInt64 = 800
    static let startingMilliseconds: UInt64 = 30_000
    /// The longest delay of a path that has just gone; later an eighth of the time that it has been down.
    static let freshMaxMilliseconds: UInt64 = 250

    private var milliseconds = firstMilliseconds
    /// How long the path had been down when the target was reached and began to refuse.
    private var downAtRefusal: UInt64?

    /// - Parameter downMilliseconds: how long the path has been down.
    mutating func next(wasRefused: Bool, downMilliseconds: UInt64) -> UInt64 {
        let delay = milliseconds
        downAtRefusal = wasRefused ? downAtRefusal ?? downMilliseconds : nil
        let refusedMilliseconds = downMilliseconds - min(downAtRefusal ?? 0, downMilliseconds)
        let patience = max(downMilliseconds / 8, Self.freshMaxMilliseconds)
        let limit =
            !wasRefused
            ? min(patience, Self.unreachableMaxMilliseconds)
            : refusedMilliseconds < Self.startingMilliseconds
                ? min(patience, Self.startingMaxMilliseconds) : Self.refusedMaxMilliseconds
        milliseconds = min(delay * 2, wasRefused ? Self.refusedMaxMilliseconds : limit)
        return min(delay, limit)
    }

    /// After a session that was lost as soon as it was made.
    mutating func nextAfterShortSession() -> UInt64 {
        let delay = milliseconds
        milliseconds = min(delay * 2, Self.refusedMaxMilliseconds)
        return min(delay, Self.startingMaxMilliseconds)
    }

    mutating func reset() {
        milliseconds = Self.firstMilliseconds
        downAtRefusal = nil
    }
}
