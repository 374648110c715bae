/// A path's answer times of the last second, for comparing it with its siblings.
struct AnswerWindow: BitwiseCopyable {
    /// So many answers at least say something.
    static let answersMin: UInt64 = 8
    /// A path is slow when it takes so many times as long as the best, and so much longer, nanoseconds.
    static let factor: UInt64 = 8
    static let difference: UInt64 = 5_000_000
    /// Windows in a row that make a slow path a grey one; fewer when it is on probation.
    static let windowsMax = 5
    static let windowsOnProbation = 2

    private var commands: UInt64 = 0
    private var nanoseconds: UInt64 = 0
    /// The mean of the last window; nil if too little came.
    private(set) var mean: UInt64?
    private(set) var slowWindows = 0

    /// Ends a window.
    /// - Parameters: the path's counters so far.
    mutating func close(commands: UInt64, nanoseconds: UInt64) {
        let count = commands &- self.commands
        mean = count >= Self.answersMin ? (nanoseconds &- self.nanoseconds) / count : nil
        self.commands = commands
        self.nanoseconds = nanoseconds
    }

    /// Holds the window against the best of the siblings. Returns whether the path is a grey one.
    mutating func compare(best: UInt64, isOnProbation: Bool) -> Bool {
        guard let mean else { return false }
        guard mean > Self.factor &* best, mean > best &+ Self.difference else {
            slowWindows = 0
            return false
        }
        slowWindows += 1
        return slowWindows >= (isOnProbation ? Self.windowsOnProbation : Self.windowsMax)
    }

    mutating func reset() { slowWindows = 0 }
}
