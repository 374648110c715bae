import CausewayCore
import LinuxSystem

/// A session with a target for a few SCSI commands that read, one after the other (RFC 7143 at
/// ErrorRecoveryLevel 0, without digests).
struct TargetSession: ~Copyable {
    /// The longest data segment that is taken, in bytes.
    static let maxRecvDataSegmentLength = 65_536

    private let connection: PortalConnection
    private let timeouts: DiscoveryTimeouts
    private var cmdSN = CmdSN(1)
    private var maxCmdSN: CmdSN
    private var expStatSN: StatSN
    private var nextTag: UInt32 = 1
    /// The portal group that answered.
    let portalGroupTag: UInt16?

    /// What a command ended with.
    struct Completion: Equatable, Sendable {
        var status: SCSIStatus
        var sense: SenseData?
        /// What came of the data that were asked for.
        var data: [UInt8]
    }

    /// Whoever logs in, where, and as what.
    struct Login: Sendable {
        var initiatorName: ISCSIName
        var initiatorAlias: String?
        var target: ISCSIName
        var identity: SessionIdentity
        /// Of the discovery that logs in.
        var slot: Int
        var timeouts: DiscoveryTimeouts
        var authentication = Authentication.none
        var challenges = KnownChallenges()
        /// Given a line for the log.
        var note: @Sendable (String) -> Void = { _ in }
    }

    /// Connects and logs in, at another portal if the target says so.
    static func open(_ login: Login, over route: Route) throws(PortalError) -> TargetSession {
        let deadline = DiscoveryTimeouts.after(login.timeouts.session)
        var route = route
        var login = login
        for _ in 0..<SendTargetsQuestion.redirectionsMax {
            let connection = try PortalConnection(
                route, deadline: DiscoveryTimeouts.after(login.timeouts.connect, notAfter: deadline))
            switch try logIn(login, connection, deadline) {
            case .session(let parameters):
                return TargetSession(connection, login.timeouts, parameters)
            case .redirected(let address): route = try route.redirected(to: address)
            case .failedWithoutMD5(let error):
                login.note("\(login.target) at \(route.destination): \(error.md5Note)")
                login.authentication = login.authentication.withMD5Alone
            }
        }
        throw PortalError(route, .tooManyRedirections(SendTargetsQuestion.redirectionsMax))
    }

    private enum Outcome {
        case session(NegotiatedParameters)
        case redirected(PortalAddress)
        /// MD5 alone may do.
        case failedWithoutMD5(LoginError)
    }

    private static func logIn(
        _ login: Login, _ connection: borrowing PortalConnection, _ deadline: Instant
    ) throws(PortalError) -> Outcome {
        let route = connection.route
        var options = LoginOptions(
            initiatorName: login.initiatorName, targetName: login.target,
            isid: login.identity.discoveryISID(
                interface: route.interface, portal: route.destination, slot: login.slot))
        options.initiatorAlias = login.initiatorAlias
        options.wanted.maxRecvDataSegmentLength = maxRecvDataSegmentLength
        // Nothing of this session is worth keeping once its connection is gone.
        options.wanted.defaultTime2Retain = 0
        options.authentication = login.authentication.knowing(login.challenges.all)
        var machine = LoginStateMachine(options)
        var next = machine.start()
        while true {
            switch next {
            case .completed(let parameters): return .session(parameters)
            case .redirected(let address, _): return .redirected(address)
            case .failed(let error) where machine.maySucceedWithMD5(after: error):
                return .failedWithoutMD5(error)
            case .failed(let error): throw PortalError(route, .login(error))
            case .send(let header, let data):
                do throws(PortalError) {
                    try connection.send(header, data: data, deadline: deadline, during: .login)
                    let (header, data) = try connection.receive(
                        limit: maxRecvDataSegmentLength, deadline: deadline, during: .login)
                    let known = machine.challenges.count
                    next = unsafe data.withUnsafeBytes { unsafe machine.received(header, data: $0) }
                    login.challenges.remember(machine.challenges, after: known)
                } catch {
                    guard case .closed = error.reason else { throw error }
                    next = .failed(machine.connectionClosed())
                }
            }
        }
    }

    private init(
        _ connection: consuming PortalConnection, _ timeouts: DiscoveryTimeouts,
        _ parameters: NegotiatedParameters
    ) {
        self.connection = connection
        self.timeouts = timeouts
        maxCmdSN = parameters.maxCmdSN
        expStatSN = parameters.expStatSN
        portalGroupTag = parameters.targetPortalGroupTag
    }

    var route: Route { connection.route }

    /// Runs one command that reads at most `expectedLength` bytes, or none.
    ///
    /// Throws what ends the session; what the command itself ended with is in the completion.
    mutating func command(
        lun: LogicalUnitNumber, _ cdb: CommandDescriptorBlock, expectedLength: Int, deadline: Instant
    ) throws(PortalError) -> Completion {
        let step = PortalError.Step.command(cdb.operationName)
        while maxCmdSN < cmdSN {
            if let header = try receive(deadline, step)?.header {
                throw violation("it sent opcode \(header.opcode.rawValue) while nothing was asked", step)
            }
        }
        let tag = nextTag
        nextTag = nextTag == reservedTag &- 1 ? 1 : nextTag + 1
        let request = SCSICommand(
            flags: expectedLength > 0 ? [.final, .read] : .final, lun: lun.rawValue, initiatorTaskTag: tag,
            expectedDataTransferLength: UInt32(expectedLength), cmdSN: cmdSN, expStatSN: expStatSN,
            cdb: (cdb.word(0), cdb.word(1), cdb.word(2), cdb.word(3)))
        cmdSN = cmdSN.next
        try connection.send(request.header, deadline: deadline, during: step)
        var data: [UInt8] = []
        while true {
            guard let (header, segment) = try receive(deadline, step) else { continue }
            guard header.initiatorTaskTag == tag else {
                throw violation("it answered task \(header.initiatorTaskTag), which was not sent", step)
            }
            switch header.opcode {
            case .scsiDataIn:
                let dataIn = SCSIDataIn(header)
                guard Int(dataIn.bufferOffset) == data.count, data.count + segment.count <= expectedLength
                else {
                    throw violation(
                        "it sent \(segment.count) bytes for offset \(dataIn.bufferOffset) "
                            + "where \(data.count) of \(expectedLength) had come", step)
                }
                data += segment
                guard dataIn.hasStatus else { continue }
                try acknowledge(header, step)
                return Completion(status: SCSIStatus(rawValue: dataIn.status), sense: nil, data: data)
            case .scsiResponse:
                try acknowledge(header, step)
                return try completion(SCSIResponse(header), segment, data, step)
            default:
                throw violation("it sent opcode \(header.opcode.rawValue) in answer to a command", step)
            }
        }
    }

    private func completion(
        _ response: SCSIResponse, _ segment: [UInt8], _ data: [UInt8], _ step: PortalError.Step
    ) throws(PortalError) -> Completion {
        guard response.response == .commandCompletedAtTarget else {
            throw violation("its response is \(response.response)", step)
        }
        // SenseLength, then the sense data (RFC 7143 §11.4.7).
        var sense: SenseData?
        if segment.count >= 2 {
            let length = min(Int(segment[0]) << 8 | Int(segment[1]), segment.count - 2)
            let bytes = Array(segment[2..<2 + length])
            sense = unsafe SenseData(bytes.span.bytes)
        }
        return Completion(status: SCSIStatus(rawValue: response.status), sense: sense, data: data)
    }

    /// Logs out and closes. A target that does not answer is left alone after a moment.
    consuming func close() {
        let deadline = DiscoveryTimeouts.after(timeouts.logout)
        let request = LogoutRequest(
            reason: .closeSession, initiatorTaskTag: nextTag, cmdSN: cmdSN, expStatSN: expStatSN)
        do throws(PortalError) {
            try connection.send(request.header, deadline: deadline, during: .logout)
            while try receive(deadline, .logout)?.header.opcode != .logoutResponse {}
        } catch {
            // Closing the connection ends the session as well.
        }
    }

    /// The next PDU that belongs to a task; nil after one that does not: a ping, which is answered, or a
    /// change of the window.
    private mutating func receive(
        _ deadline: Instant, _ step: PortalError.Step
    ) throws(PortalError) -> (header: BasicHeaderSegment, data: [UInt8])? {
        let (header, data) = try connection.receive(
            limit: Self.maxRecvDataSegmentLength, deadline: deadline, during: step)
        // RFC 7143 §4.2.2.1: a window that is smaller than nothing, or older than the present one, is
        // ignored.
        if header.expCmdSN <= header.maxCmdSN.next, maxCmdSN < header.maxCmdSN { maxCmdSN = header.maxCmdSN }
        switch header.opcode {
        case .nopIn:
            if let answer = NOPOut(answering: NOPIn(header), cmdSN: cmdSN, expStatSN: expStatSN) {
                try connection.send(answer.header, deadline: deadline, during: step)
            }
            return nil
        case .asynchronousMessage:
            try acknowledge(header, step)
            let event = AsynchronousMessage(header).event
            guard event == .scsiEvent || event.isVendorSpecific else {
                throw PortalError(route, .ended(event))
            }
            return nil
        case .reject:
            throw PortalError(route, .rejected(Reject(header).reason, step))
        default:
            return (header, data)
        }
    }

    /// Takes the StatSN of a PDU that carries one.
    private mutating func acknowledge(
        _ header: BasicHeaderSegment, _ step: PortalError.Step
    ) throws(PortalError) {
        guard header.statSN == expStatSN else {
            throw violation("its StatSN is \(header.statSN) instead of \(expStatSN)", step)
        }
        expStatSN = header.statSN.next
    }

    private func violation(_ what: String, _ step: PortalError.Step) -> PortalError {
        PortalError(route, .protocolError(what, during: step))
    }
}
