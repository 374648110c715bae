/// What the driver of a discovery is to do next.
public enum DiscoveryStep: Sendable {
    /// Send this PDU (the data is to be padded to whole words) and hand in what comes.
    case send(BasicHeaderSegment, data: [UInt8])
    /// Nothing to send; hand in what comes next.
    case wait
    /// Close the connection.
    case completed(SendTargetsResponse)
    /// Close the connection and discover there.
    case redirected(to: PortalAddress, permanent: Bool)
    /// Close the connection.
    case failed(DiscoveryError)
}

/// A whole discovery session without I/O: login, SendTargets=All, logout (RFC 7143 Appendix C). Digests are
/// never negotiated for it, so the driver frames every PDU alike.
///
///     loggingIn ──► asking (as many Text Responses as it takes) ──► loggingOut ──► over
public struct DiscoverySession: Sendable {
    /// Bytes of list that are collected: some ten thousand targets.
    public static let maximumTextLength = 4 << 20
    /// Text Responses of one list.
    public static let maximumResponses = 16384

    private enum State {
        /// Can move to: asking when the login completes, over.
        case loggingIn(LoginStateMachine)
        /// Can move to: loggingOut with the last Text Response, over.
        case asking(Asking)
        /// Can move to: over.
        case loggingOut(SendTargetsResponse, Numbers)
        case over
    }

    private struct Asking {
        var numbers: Numbers
        var text: [UInt8] = []
        var responses = 0
    }

    /// Sequence numbers and limit of the connection in the Full Feature Phase.
    private struct Numbers {
        var cmdSN: CmdSN
        var expStatSN: StatSN
        var maxDataSegmentLength: Int
    }

    private static let textTag: UInt32 = 1
    private static let logoutTag: UInt32 = 2

    private var state: State

    /// `options` as for a login; session type, digests and session-wide wishes are set here.
    public init(_ options: LoginOptions) {
        var options = options
        options.sessionType = .discovery
        options.tsih = 0
        options.wanted.headerDigest = .prohibited
        options.wanted.dataDigest = .prohibited
        options.wanted.errorRecoveryLevel = 0
        cmdSN = options.cmdSN
        state = .loggingIn(LoginStateMachine(options))
    }

    private let cmdSN: CmdSN
    /// Whether the failed login may succeed with MD5 alone, see `LoginStateMachine`.
    public private(set) var maySucceedWithMD5 = false
    /// The challenges of both sides in its login, see `LoginStateMachine`.
    public private(set) var challenges: [[UInt8]] = []

    /// The first request. Called once.
    public mutating func start() -> DiscoveryStep {
        guard case .loggingIn(var login) = state else { preconditionFailure("start() twice") }
        let step = login.start()
        state = .loggingIn(login)
        return take(step)
    }

    /// A PDU of the target with its data (DataSegmentLength bytes, unpadded).
    public mutating func received(_ header: BasicHeaderSegment, data: UnsafeRawBufferPointer) -> DiscoveryStep
    {
        switch state {
        case .loggingIn(var login):
            let step = unsafe login.received(header, data: data)
            challenges = login.challenges
            if case .failed(let error) = step { maySucceedWithMD5 = login.maySucceedWithMD5(after: error) }
            state = .loggingIn(login)
            return take(step)
        case .asking(var asking):
            do throws(DiscoveryError) {
                if let step = try between(header, data.count, &asking.numbers) {
                    state = .asking(asking)
                    return step
                }
                return unsafe try listed(header, data, asking)
            } catch {
                return fail(error)
            }
        case .loggingOut(let response, var numbers):
            do throws(DiscoveryError) {
                if let step = try between(header, data.count, &numbers) {
                    state = .loggingOut(response, numbers)
                    return step
                }
            } catch {
                // The list is complete; how the target says good-bye does not change it.
            }
            state = .over
            return .completed(response)
        case .over:
            return fail(.login(.protocolError(.afterEnd)))
        }
    }

    /// The target has closed the connection, or it broke.
    public mutating func connectionClosed() -> DiscoveryStep {
        switch state {
        case .loggingIn(var login):
            let error = login.connectionClosed()
            maySucceedWithMD5 = login.maySucceedWithMD5(after: error)
            return fail(.login(error))
        case .asking: return fail(.connectionClosed)
        case .loggingOut(let response, _):
            return finish(response)
        case .over: return fail(.connectionClosed)
        }
    }

    private mutating func finish(_ response: SendTargetsResponse) -> DiscoveryStep {
        state = .over
        return .completed(response)
    }

    private mutating func take(_ step: LoginStep) -> DiscoveryStep {
        switch step {
        case .send(let header, let data): return .send(header, data: data)
        case .redirected(let address, let permanent):
            state = .over
            return .redirected(to: address, permanent: permanent)
        case .failed(let error): return fail(.login(error))
        case .completed(let parameters):
            let numbers = Numbers(
                cmdSN: cmdSN, expStatSN: parameters.expStatSN,
                maxDataSegmentLength: parameters.initiatorMaxRecvDataSegmentLength)
            state = .asking(Asking(numbers: numbers))
            return ask(numbers, TextSegment.build([TextPair(.sendTargets, "All")]))
        }
    }

    /// Immediate, so that a window that is still shut does not stop it.
    private func ask(
        _ numbers: Numbers, _ data: [UInt8], lun: UInt64 = 0, targetTransferTag: UInt32 = reservedTag
    ) -> DiscoveryStep {
        let request = TextRequest(
            isFinal: true, immediate: true, lun: lun, initiatorTaskTag: Self.textTag,
            targetTransferTag: targetTransferTag, cmdSN: numbers.cmdSN, expStatSN: numbers.expStatSN,
            dataSegmentLength: data.count)
        return .send(request.header, data: data)
    }

    /// What a target may send at any time: pings and messages. Nil when the PDU is none of these.
    private func between(
        _ header: BasicHeaderSegment, _ dataCount: Int, _ numbers: inout Numbers
    ) throws(DiscoveryError) -> DiscoveryStep? {
        guard header.dataSegmentLength == dataCount,
            header.fits(maxRecvDataSegmentLength: numbers.maxDataSegmentLength)
        else { throw .protocolError("the lengths in its header are wrong") }
        switch header.opcode {
        case .nopIn:
            guard
                let answer = NOPOut(
                    answering: NOPIn(header), cmdSN: numbers.cmdSN, expStatSN: numbers.expStatSN)
            else { return .wait }
            return .send(answer.header, data: [])
        case .asynchronousMessage:
            throw .asynchronousMessage(AsynchronousMessage(header).event)
        case .reject:
            throw .rejected(Reject(header).reason)
        default:
            guard header.statSN == numbers.expStatSN else {
                throw .protocolError("its StatSN is \(header.statSN) instead of \(numbers.expStatSN)")
            }
            numbers.expStatSN = header.statSN.next
            return nil
        }
    }

    private mutating func listed(
        _ header: BasicHeaderSegment, _ data: UnsafeRawBufferPointer, _ asking: Asking
    ) throws(DiscoveryError) -> DiscoveryStep {
        var asking = asking
        guard header.opcode == .textResponse else {
            throw .protocolError(
                "it sent opcode 0x\(hexByte(header.opcode.rawValue)) instead of a Text Response")
        }
        let response = TextResponse(header)
        guard response.initiatorTaskTag == Self.textTag else {
            throw .protocolError(
                "it answered with Initiator Task Tag \(response.initiatorTaskTag), which was not sent")
        }
        guard !(response.isFinal && response.isContinued) else {
            throw .protocolError("it set both F and C in a Text Response")
        }
        asking.responses += 1
        guard asking.text.count + data.count <= Self.maximumTextLength,
            asking.responses < Self.maximumResponses
        else { throw .tooLong(limit: Self.maximumTextLength) }
        unsafe asking.text.append(contentsOf: data)
        guard response.isFinal else {
            guard response.targetTransferTag != reservedTag else {
                throw .protocolError("it has more to list but gave no Target Transfer Tag")
            }
            state = .asking(asking)
            return ask(
                asking.numbers, [], lun: response.lun, targetTransferTag: response.targetTransferTag)
        }
        let list: SendTargetsResponse
        do throws(SendTargetsError) {
            list = try SendTargetsResponse(asking.text)
        } catch {
            throw .list(error)
        }
        state = .loggingOut(list, asking.numbers)
        let request = LogoutRequest(
            reason: .closeSession, initiatorTaskTag: Self.logoutTag, cmdSN: asking.numbers.cmdSN,
            expStatSN: asking.numbers.expStatSN)
        return .send(request.header, data: [])
    }

    private mutating func fail(_ error: DiscoveryError) -> DiscoveryStep {
        state = .over
        return .failed(error)
    }
}

/// Why a discovery failed.
public enum DiscoveryError: Error, Equatable, Sendable, CustomStringConvertible {
    case login(LoginError)
    case list(SendTargetsError)
    case rejected(Reject.Reason)
    case asynchronousMessage(AsynchronousMessage.Event)
    case connectionClosed
    case tooLong(limit: Int)
    case protocolError(String)

    public var isRetryable: Bool {
        switch self {
        case .login(let error): error.isRetryable
        case .rejected(let reason): reason.mayResend
        case .connectionClosed, .asynchronousMessage: true
        case .list, .tooLong, .protocolError: false
        }
    }

    public var description: String {
        switch self {
        case .login(let error): error.description
        case .list(let error): error.description
        case .rejected(let reason): "the target rejected SendTargets: \(reason)"
        case .asynchronousMessage(let event): "the target ended the discovery session: \(event)"
        case .connectionClosed: "the target closed the connection during discovery"
        case .tooLong(let limit): "the target's list is longer than \(limit) bytes"
        case .protocolError(let what): "the target breaks the iSCSI protocol: \(what)"
        }
    }
}
