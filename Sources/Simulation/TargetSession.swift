import CausewayCore

/// A session as the target keeps it: (initiator name, ISID, portal group).
final class TargetSession {
    let initiatorName: String
    let isid: UInt64
    let tsih: UInt16
    let portalGroup: UInt16
    /// By CID.
    var connections: [UInt16: TargetConnection] = [:]
    /// As the leading login negotiated them.
    let parameters: NegotiatedParameters
    /// Requests that came before others with lower numbers, on whichever connection.
    var early: [UInt32: EarlyRequest] = [:]
    /// From which CmdSN on the initiator knew that a LUN is another.
    var heardAt: [UInt64: UInt32] = [:]
    /// Connections that were lost and not logged out.
    var lost: Set<UInt16> = []
    var expCmdSN: UInt32
    /// The highest that was ever announced: it never goes back.
    var maxCmdSN: UInt32
    var tasks: [UInt32: TargetTask] = [:]
    /// At ErrorRecoveryLevel 2: those whose status is not acknowledged yet.
    var answered: [UInt32: TargetTask] = [:]
    /// Unit attentions that wait for the next command, by LUN.
    var attentions: [UInt64: [Sense]] = [:]
    var isOver = false

    init(
        initiatorName: String, isid: UInt64, tsih: UInt16, portalGroup: UInt16, cmdSN: UInt32,
        parameters: NegotiatedParameters
    ) {
        self.parameters = parameters
        self.initiatorName = initiatorName
        self.isid = isid
        self.tsih = tsih
        self.portalGroup = portalGroup
        expCmdSN = cmdSN
        maxCmdSN = cmdSN &- 1
    }

    /// Whether a command of this number was sent before the initiator had heard that the LUN is another.
    func isUnheard(_ cmdSN: UInt32, lun: UInt64) -> Bool {
        if living.contains(where: { $0.untold.contains { $0.lun == lun && $0.sense.tellsOfAnother } }) {
            return true
        }
        return heardAt[lun].map { Int32(bitPattern: cmdSN &- $0) < 0 } ?? false
    }

    /// A connection is gone: what it had to tell and nobody has acknowledged is told again. Not every real
    /// target does so, and no initiator can mend that.
    func tellAgain(_ connection: TargetConnection) {
        for news in connection.untold.reversed() {
            attentions[news.lun, default: []].insert(news.sense, at: 0)
        }
        connection.untold = []
    }

    /// It is over: connections and tasks, which know it, go.
    func forget() {
        connections = [:]
        early = [:]
        tasks = [:]
        answered = [:]
    }

    var isShared: Bool { parameters.maxConnections > 1 }
    /// Its tasks outlive their connection.
    var recovers: Bool { parameters.errorRecoveryLevel == 2 && isShared }
    /// By their CIDs.
    var living: [TargetConnection] { connections.sorted { $0.key < $1.key }.map { $0.value } }
}

/// A request that waits for its turn, with the Data-Out that came behind it.
struct EarlyRequest {
    var header: BasicHeaderSegment
    var data: [UInt8]
    var connection: TargetConnection
    var dataOuts: [(header: BasicHeaderSegment, data: [UInt8])] = []
    var isAborted = false
}

extension SimulatedTarget {
    /// The world is no more: sessions, connections, tasks and units, which know each other, go.
    func forget() {
        for session in sessions + draining { session.forget() }
        for connection in connections { connection.milestones = [:] }
        for unit in allUnits { unit.tasks = [] }
    }
}

/// A command inside the target.
final class TargetTask {
    enum State { case receiving, waiting, executing, ended }

    struct Transfer {
        var tag: UInt32
        var offset: Int
        var end: Int
        var dataSN: UInt32
    }

    let session: TargetSession
    let unit: SimulatedUnit
    let tag: UInt32
    var cmdSN: UInt32 = 0
    var expStatSN: UInt32 = 0
    let cdb: [UInt8]
    let isOrdered: Bool
    let isWrite: Bool
    let expectedLength: Int
    /// Through which it came, and will be answered.
    var connection: TargetConnection
    var portal: Int { connection.connection.portal }
    var state = State.waiting
    var data: [UInt8] = []
    var receivedBytes = 0
    /// Unsolicited data that is still to come ends here; nil when no more may come.
    var unsolicited: Transfer?
    var transfers: [Transfer] = []
    /// Where the next R2T begins.
    var requested = 0
    var r2tSN: UInt32 = 0
    /// Decided when the command came: what it ends with instead of being carried out.
    var forced: Outcome?
    /// The unit attention that it is to report.
    var attention: Sense?
    var isSlow = false
    /// Who waits for the end of it.
    var onEnd: [() -> Void] = []
    /// What it has ended with, and the number of the status that said so.
    var outcome: Outcome?
    var statSN: UInt32 = 0
    var immediateBytes = 0
    /// Its connection was logged out for recovery: from when on it may be asked for through another.
    var recoverableFrom: UInt64?

    init(
        session: TargetSession, unit: SimulatedUnit, tag: UInt32, cdb: [UInt8], isOrdered: Bool,
        isWrite: Bool,
        expectedLength: Int, connection: TargetConnection
    ) {
        self.session = session
        self.unit = unit
        self.tag = tag
        self.cdb = cdb
        self.isOrdered = isOrdered
        self.isWrite = isWrite
        self.expectedLength = expectedLength
        self.connection = connection
    }

    /// It ends without an answer: what it was to report is the next command's to report (SAM-5 5.14).
    func leaveAttention() {
        guard let attention else { return }
        session.attentions[unit.lun, default: []].insert(attention, at: 0)
        self.attention = nil
    }

    var name: String {
        let names: [UInt8: String] = [
            0x00: "TUR", 0x12: "INQUIRY", 0x1a: "MODE SENSE", 0x42: "UNMAP", 0x88: "READ", 0x8a: "WRITE",
            0x91: "SYNC", 0x93: "WRITE SAME", 0x9e: "SERVICE IN", 0xa0: "REPORT LUNS", 0xa3: "RTPG",
            0xa4: "STPG", 0x5e: "PR IN", 0x5f: "PR OUT",
        ]
        let name = names[cdb[0]] ?? "command \(cdb[0])"
        guard [0x88, 0x8a, 0x93].contains(cdb[0]) else { return name }
        return "\(name) \(cdb.field(2, bytes: 8))+\(cdb.field(10, bytes: 4))"
    }
}

extension Sense {
    /// It may be another LUN.
    var tellsOfAnother: Bool { [.lunsChanged, .inquiryChanged, .reset].contains(self) }
}
