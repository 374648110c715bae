/// Task Management Function Request (RFC 7143 §11.5, RFC 7144 §6.3).
public struct TaskManagementRequest: InitiatorPDU {
    @inline(__always) public static var opcode: Opcode { .taskManagementRequest }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    public enum Function: UInt8, CaseIterable, BitwiseCopyable, Sendable, CustomStringConvertible {
        case abortTask = 1
        case abortTaskSet = 2
        case clearACA = 3
        case clearTaskSet = 4
        case logicalUnitReset = 5
        case targetWarmReset = 6
        case targetColdReset = 7
        case taskReassign = 8
        /// This and the next three need iSCSIProtocolLevel 2.
        case queryTask = 9
        case queryTaskSet = 10
        case itNexusReset = 11
        case queryAsynchronousEvent = 12

        public var description: String {
            switch self {
            case .abortTask: "ABORT TASK"
            case .abortTaskSet: "ABORT TASK SET"
            case .clearACA: "CLEAR ACA"
            case .clearTaskSet: "CLEAR TASK SET"
            case .logicalUnitReset: "LOGICAL UNIT RESET"
            case .targetWarmReset: "TARGET WARM RESET"
            case .targetColdReset: "TARGET COLD RESET"
            case .taskReassign: "TASK REASSIGN"
            case .queryTask: "QUERY TASK"
            case .queryTaskSet: "QUERY TASK SET"
            case .itNexusReset: "I_T NEXUS RESET"
            case .queryAsynchronousEvent: "QUERY ASYNCHRONOUS EVENT"
            }
        }
    }

    /// - Parameters:
    ///   - referencedTaskTag: the task that ABORT TASK, TASK REASSIGN and QUERY TASK are about.
    ///   - refCmdSN: for ABORT TASK, the CmdSN of that task.
    ///   - expDataSN: for TASK REASSIGN of a read, the next Data-In or R2T that is still wanted.
    @inline(__always)
    public init(
        function: Function, immediate: Bool = true, lun: UInt64 = 0, initiatorTaskTag: UInt32,
        referencedTaskTag: UInt32 = reservedTag, cmdSN: CmdSN, expStatSN: StatSN,
        refCmdSN: CmdSN = CmdSN(0), expDataSN: UInt32 = 0
    ) {
        header = BasicHeaderSegment(
            .taskManagementRequest, immediate: immediate, byte1: 0x80 | function.rawValue)
        header.lun = lun
        header[4] = initiatorTaskTag
        header[5] = referencedTaskTag
        header[6] = cmdSN.value
        header[7] = expStatSN.value
        header[8] = refCmdSN.value
        header[9] = expDataSN
    }

    @inline(__always) public var lun: UInt64 { header.lun }
    @inline(__always) public var function: Function? { Function(rawValue: header[byte: 1] & 0x7f) }
    @inline(__always) public var referencedTaskTag: UInt32 { header[5] }
    @inline(__always) public var cmdSN: CmdSN { CmdSN(header[6]) }
    @inline(__always) public var refCmdSN: CmdSN { CmdSN(header[8]) }
    @inline(__always) public var expDataSN: UInt32 { header[9] }
}
