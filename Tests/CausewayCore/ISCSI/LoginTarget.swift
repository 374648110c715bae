@testable import CausewayCore

/// The target's side of a scripted login: it takes what the machine sends and makes responses by hand.
struct LoginTarget {
    var machine: LoginStateMachine
    var statSN: UInt32 = 0x100
    var lastRequest = BasicHeaderSegment()
    var lastData: [UInt8] = []

    init(_ options: LoginOptions = LoginTarget.options()) {
        machine = LoginStateMachine(options)
    }

    private static func name(_ text: String) -> ISCSIName {
        guard let name = try? ISCSIName(text) else { preconditionFailure(text) }
        return name
    }

    static func options(_ change: (inout LoginOptions) -> Void = { _ in }) -> LoginOptions {
        var options = LoginOptions(
            initiatorName: name("iqn.2001-04.com.example:host"),
            targetName: name("iqn.2001-04.com.example:disk"), isid: InitiatorSessionID(hash: 42))
        change(&options)
        return options
    }

    var request: LoginRequest { LoginRequest(lastRequest) }
    /// The pairs of the last request as `key=value`.
    var pairs: [String] { ((try? TextSegment.parse(lastData)) ?? []).map { "\($0.key)=\($0.value)" } }

    mutating func start() -> LoginStep { note(machine.start()) }

    /// Answers the last request; the header is made to fit it and may then be spoilt.
    mutating func respond(
        _ pairs: [String] = [], transit: Bool? = nil, continued: Bool = false, tsih: UInt16 = 0,
        status: UInt16 = 0, text: [UInt8]? = nil, spoil: (inout BasicHeaderSegment) -> Void = { _ in }
    ) -> LoginStep {
        let data = text ?? pairs.flatMap { Array($0.utf8) + [0] }
        let request = self.request
        let isTransit = !continued && (transit ?? request.isTransit)
        var header = BasicHeaderSegment(
            .loginResponse,
            byte1: (isTransit ? 0x80 | lastRequest[byte: 1] & 3 : 0) | (continued ? 0x40 : 0)
                | lastRequest[byte: 1] & 0x0c)
        header.dataSegmentLength = data.count
        header.lun = request.isid.value << 16 | UInt64(tsih)
        header.initiatorTaskTag = request.initiatorTaskTag
        header[6] = statSN
        header[7] = request.cmdSN.value
        header[8] = request.cmdSN.value + 1
        header[9] = UInt32(status) << 16
        statSN &+= 1
        spoil(&header)
        return note(data.withUnsafeBytes { machine.received(header, data: $0) })
    }

    /// Through SecurityNegotiation as tgt and LIO answer it.
    mutating func passSecurity() -> LoginStep {
        _ = start()
        return respond(["TargetPortalGroupTag=1", "AuthMethod=None"])
    }

    private mutating func note(_ step: LoginStep) -> LoginStep {
        if case .send(let header, let data) = step {
            lastRequest = header
            lastData = data
        }
        return step
    }
}

extension LoginStep {
    var isSend: Bool { if case .send = self { true } else { false } }
    var parameters: NegotiatedParameters? {
        if case .completed(let parameters) = self { parameters } else { nil }
    }
    var error: LoginError? { if case .failed(let error) = self { error } else { nil } }
    var violation: LoginError.ProtocolViolation? {
        if case .failed(.protocolError(let violation)) = self { violation } else { nil }
    }
}
