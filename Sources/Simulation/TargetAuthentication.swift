import CausewayCore
import Synchronization

/// CHAP in the simulated world: the same on both sides, with a hash of no worth.
public enum SimulatedCHAP: String, CaseIterable, Sendable {
    case none, oneWay, mutual

    static let user = "host"
    static let secret = "the initiator's"
    static let targetUser = "array"
    static let targetSecret = "the target's"

    static func response(
        _ algorithm: UInt8, _ identifier: UInt8, _ secret: [UInt8], _ challenge: [UInt8]
    ) -> [UInt8] {
        var hash = StableHash(key0: UInt64(algorithm) << 8 | UInt64(identifier))
        hash.append(String(decoding: secret.map { $0 & 0x7f }, as: UTF8.self))
        for byte in challenge { hash.append(UInt64(byte)) }
        let value = hash.value()
        return (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    /// What the initiator is attached with.
    func authentication(seed: UInt64) -> Authentication {
        guard self != .none else { return .none }
        let drawn = Counter(seed)
        let functions = CHAPFunctions(
            hash: { (algorithm, identifier, secret, challenge) throws(CHAPHashError) in
                let bytes = unsafe secret.withBytes { unsafe Array($0) }
                return Self.response(algorithm.rawValue, identifier, bytes, challenge)
            },
            randomBytes: { count in drawn.bytes(count) })
        var options = CHAPOptions(user: Self.user, secret: Self.kept(Self.secret), functions: functions)
        if self == .mutual {
            options.mutualLevel = .required
            options.mutualUser = Self.targetUser
            options.mutualSecret = Self.kept(Self.targetSecret)
        }
        return .chap(options)
    }

    private static func kept(_ text: String) -> CHAPSecret {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        unsafe bytes.copyBytes(from: Array(text.utf8))
        return unsafe CHAPSecret(adopting: UnsafeRawBufferPointer(bytes)) { unsafe $0.deallocate() }
    }

    /// Bytes that do not come twice.
    private final class Counter: Sendable {
        private let state: Mutex<UInt64>
        init(_ seed: UInt64) { state = Mutex(seed) }
        func bytes(_ count: Int) -> [UInt8] {
            let start = state.withLock { state in
                state &+= 1
                return state
            }
            let random = RandomStream(seed: start, "challenge")
            return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        }
    }
}

/// The target's side of one authentication.
struct TargetAuthentication {
    private enum State {
        case begun
        case methodChosen
        case challenged(algorithm: UInt8, identifier: UInt8, challenge: [UInt8])
    }

    enum Verdict {
        case go(on: [TextPair], ends: Bool)
        case refused
        case broken(String)
    }

    private var state = State.begun

    mutating func advance(
        _ keys: [String: String], _ options: TargetOptions, _ random: RandomStream
    ) -> Verdict {
        switch state {
        case .begun:
            guard keys["AuthMethod"]?.split(separator: ",").contains("CHAP") == true else { return .refused }
            state = .methodChosen
            return .go(on: [TextPair(.authMethod, "CHAP")], ends: false)
        case .methodChosen:
            let offered = (keys["CHAP_A"] ?? "").split(separator: ",").compactMap { UInt8($0) }
            guard let algorithm = offered.first(where: { (5...8).contains($0) }) else {
                return .broken("CHAP_A \(keys["CHAP_A"] ?? "absent")")
            }
            let identifier = UInt8(truncatingIfNeeded: random.next())
            var challenge = (0..<random.pick([1, 16, 1024])).map { _ in
                UInt8(truncatingIfNeeded: random.next())
            }
            if options.repeatsChallenges { challenge = [1, 2, 3, 4] }
            state = .challenged(algorithm: algorithm, identifier: identifier, challenge: challenge)
            return .go(
                on: [
                    TextPair(.chapC, TextValue.hexadecimal(challenge)), TextPair(.chapI, "\(identifier)"),
                    TextPair(.chapA, "\(algorithm)"),
                ], ends: false)
        case .challenged(let algorithm, let identifier, let challenge):
            return judge(keys, options, algorithm, identifier, challenge)
        }
    }

    private func judge(
        _ keys: [String: String], _ options: TargetOptions, _ algorithm: UInt8, _ identifier: UInt8,
        _ challenge: [UInt8]
    ) -> Verdict {
        // As tgt does: the number of one algorithm for another.
        let own = options.mistakesAlgorithms && algorithm != 5 ? algorithm - 1 : algorithm
        let expected = SimulatedCHAP.response(own, identifier, Array(SimulatedCHAP.secret.utf8), challenge)
        guard keys["CHAP_N"] == SimulatedCHAP.user,
            keys["CHAP_R"].flatMap({ TextValue.binary($0, maximumByteCount: 1024) }) == expected
        else { return .refused }
        guard options.chap == .mutual else {
            return keys["CHAP_C"] == nil ? .go(on: [], ends: true) : .broken("CHAP_C that is not due")
        }
        guard let asked = keys["CHAP_C"].flatMap({ TextValue.binary($0, maximumByteCount: 1024) }),
            let askedIdentifier = keys["CHAP_I"].flatMap(TextValue.number).flatMap({ UInt8(exactly: $0) })
        else { return .broken("no challenge where mutual CHAP is required") }
        guard asked != challenge else { return .broken("our own challenge came back") }
        let proof = SimulatedCHAP.response(
            own, askedIdentifier, Array(SimulatedCHAP.targetSecret.utf8), asked)
        return .go(
            on: [
                TextPair(.chapN, SimulatedCHAP.targetUser), TextPair(.chapR, TextValue.hexadecimal(proof)),
            ], ends: true)
    }
}
