/// What moves with every command of a session: the command window that its connections share (RFC 7143
/// §4.2.2.1). Where a session has one connection, it is that of the path of the same index.
struct SessionQueue: BitwiseCopyable {
    var cmdSN = CmdSN(1)
    var expCmdSN = CmdSN(1)
    var maxCmdSN = CmdSN(1)
    /// Commands of the lane's own wait for the window.
    var hasWaiting = false

    /// A leading login has begun a session.
    mutating func begin(_ parameters: NegotiatedParameters) {
        cmdSN = parameters.expCmdSN
        expCmdSN = parameters.expCmdSN
        maxCmdSN = parameters.maxCmdSN
        hasWaiting = false
    }

    @inline(__always)
    var hasWindow: Bool { cmdSN <= maxCmdSN }

    /// Takes the window of a PDU from the target, unless it is older than what is known: connections may
    /// bring them in another order than they were sent.
    @inline(__always)
    mutating func updateWindow(expCmdSN newExp: CmdSN, maxCmdSN newMax: CmdSN) {
        guard newMax.distance(from: newExp) >= -1 else { return }
        if expCmdSN < newExp { expCmdSN = newExp }
        if maxCmdSN < newMax { maxCmdSN = newMax }
    }
}

/// How the paths to a target are used.
public enum Multipathing: String, CaseIterable, Sendable {
    /// A session for each path.
    case sessions
    /// One session with a connection for each path (MC/S).
    case connections
}
