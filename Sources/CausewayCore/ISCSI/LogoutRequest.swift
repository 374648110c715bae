/// Logout Request (RFC 7143 §11.14).
public struct LogoutRequest: InitiatorPDU {
    @inline(__always) public static var opcode: Opcode { .logoutRequest }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    public enum Reason: UInt8, BitwiseCopyable, Sendable, CustomStringConvertible {
        /// Ends every task of the session.
        case closeSession = 0
        /// Ends every task of the connection.
        case closeConnection = 1
        /// Keeps the tasks for TASK REASSIGN; needs ErrorRecoveryLevel 2.
        case removeConnectionForRecovery = 2

        public var description: String {
            switch self {
            case .closeSession: "close the session"
            case .closeConnection: "close the connection"
            case .removeConnectionForRecovery: "remove the connection for recovery"
            }
        }
    }

    /// - Parameters:
    ///   - cid: the connection to be closed; meaningless for `closeSession`.
    ///   - expStatSN: the last one of the connection to be closed.
    public init(
        reason: Reason, immediate: Bool = true, initiatorTaskTag: UInt32, cid: UInt16 = 0,
        cmdSN: CmdSN, expStatSN: StatSN
    ) {
        header = BasicHeaderSegment(.logoutRequest, immediate: immediate, byte1: 0x80 | reason.rawValue)
        header[4] = initiatorTaskTag
        header[5] = UInt32(cid) << 16
        header[6] = cmdSN.value
        header[7] = expStatSN.value
    }

    public var reason: Reason? { Reason(rawValue: header[byte: 1] & 0x7f) }
    public var cid: UInt16 { UInt16(truncatingIfNeeded: header[5] >> 16) }
    public var cmdSN: CmdSN { CmdSN(header[6]) }
}
