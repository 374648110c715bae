import CausewayCore

/// Logins, played by a string of bytes; see `FuzzTarget.responses`.
enum LoginFuzz {
    /// What the session has when the login comes to its end, and all that the target said.
    static func run(
        _ bytes: UnsafeRawBufferPointer, _ options: LoginOptions, tsih: UInt64 = 1
    ) -> (parameters: NegotiatedParameters?, said: [UInt8]) {
        var machine = LoginStateMachine(options)
        _ = machine.start()
        var rounds = 0
        var said: [UInt8] = []
        var result: NegotiatedParameters?
        unsafe FuzzTarget.responses(bytes, tsih: tsih) { header, data in
            rounds += 1
            precondition(rounds <= LoginStateMachine.maximumRounds + 1, "a login without end")
            unsafe said.append(contentsOf: data)
            switch unsafe machine.received(header, data: data) {
            case .send(_, let data):
                precondition(data.count <= 8192, "a login request longer than every target takes")
                return true
            case .completed(let parameters):
                precondition(
                    parameters.maxBurstLength >= 512 && parameters.targetMaxRecvDataSegmentLength >= 512)
                result = parameters
                return false
            case .redirected, .failed: return false
            }
        }
        return (result, said)
    }

    // MARK: CHAP

    private static func secret(_ byte: UInt8) -> CHAPSecret {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 1)
        for index in bytes.indices { unsafe bytes[index] = byte }
        return unsafe CHAPSecret(adopting: UnsafeRawBufferPointer(bytes)) { unsafe $0.deallocate() }
    }

    /// Only who knows the secret (its bytes are all `s`) can say this; the challenge is a constant.
    private static func response(_ algorithm: UInt8, _ secret: UInt8) -> [UInt8] {
        [algorithm, secret, 0x0f]
    }

    /// No session without the proof of the target.
    static func runCHAP(_ bytes: UnsafeRawBufferPointer) {
        guard var options = FuzzTarget.options() else { return }
        let functions = CHAPFunctions(
            hash: { (algorithm, _, secret, _) throws(CHAPHashError) in
                response(algorithm.rawValue, unsafe secret.withBytes { unsafe $0.first ?? 0 })
            },
            randomBytes: { count in (0..<count).map { UInt8(truncatingIfNeeded: 0xa0 + $0) } })
        var chap = CHAPOptions(user: "host", secret: secret(1), functions: functions)
        chap.mutualLevel = .required
        chap.mutualUser = "array"
        chap.mutualSecret = secret(2)
        chap.knownChallenges = [[9, 9]]
        options.authentication = .chap(chap)
        let (parameters, said) = unsafe run(bytes, options)
        guard parameters != nil else { return }
        let words = said.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        let proofs = words.filter { $0.hasPrefix("CHAP_R=") }.compactMap {
            TextValue.binary(String($0.dropFirst(7)), maximumByteCount: 1024)
        }
        let algorithms = CHAPAlgorithm.strongestFirst.map(\.rawValue)
        precondition(
            proofs.contains { proof in algorithms.contains { response($0, 2) == proof } },
            "a session with a target that has proven nothing")
        precondition(words.contains("CHAP_N=array"), "a session with a target of another name")
    }

    // MARK: A connection that joins

    /// What belongs to the session stays as its leading login has made it.
    static func runJoin(_ bytes: UnsafeRawBufferPointer) {
        guard var options = FuzzTarget.options() else { return }
        var session = NegotiatedParameters()
        session.tsih = 0x0909
        session.maxConnections = 4
        session.maxBurstLength = 300_000
        session.firstBurstLength = 20_000
        session.initialR2T = false
        session.immediateData = false
        session.maxOutstandingR2T = 3
        options.tsih = session.tsih
        options.session = session
        options.cid = 1
        options.cmdSN = CmdSN(77)
        options.wanted.headerDigest = .preferred
        guard let joined = unsafe run(bytes, options, tsih: UInt64(session.tsih)).parameters else { return }
        precondition(joined.tsih == session.tsih, "another session")
        precondition(
            joined.maxBurstLength == session.maxBurstLength
                && joined.firstBurstLength == session.firstBurstLength
                && joined.initialR2T == session.initialR2T && joined.immediateData == session.immediateData
                && joined.maxOutstandingR2T == session.maxOutstandingR2T
                && joined.maxConnections == session.maxConnections
                && joined.errorRecoveryLevel == session.errorRecoveryLevel
                && joined.defaultTime2Wait == session.defaultTime2Wait
                && joined.defaultTime2Retain == session.defaultTime2Retain,
            "a joining connection changed its session")
    }
}
