/// How to prove who we are. CHAP becomes a case here and a case of `SecurityNegotiation.State`; its hash
/// functions and challenges are handed in, because the core has neither.
public enum Authentication: Sendable {
    case none

    /// The values of AuthMethod to offer, the preferred first (RFC 7143 §12.1).
    var methods: String {
        switch self {
        case .none: "None"
        }
    }
}

/// The SecurityNegotiation stage of a login (RFC 7143 §6.3.2): a machine of its own inside the login, which
/// only carries its pairs to and fro.
struct SecurityNegotiation: Sendable {
    private enum State {
        /// AuthMethod is offered. Can move to: done, when the target chose it or let it be.
        case methodsOffered
        case done
    }

    private var state = State.methodsOffered
    private let authentication: Authentication

    init(_ authentication: Authentication) { self.authentication = authentication }

    /// Nothing more to say: the T bit may be set.
    var isReadyToTransit: Bool {
        switch (state, authentication) {
        // With nothing to prove, the offer is all there is to say.
        case (.methodsOffered, .none), (.done, _): true
        }
    }

    func offer() -> [TextPair] { [TextPair(.authMethod, authentication.methods)] }

    /// Takes a security key of the target; returns what to answer.
    mutating func received(_ key: TextKey, _ value: String) throws(LoginError) -> [TextPair] {
        guard key == .authMethod else {
            throw .protocolError(
                .illegalKey(key: key.name, why: "for an authentication that is not under way"))
        }
        guard case .methodsOffered = state else { throw .protocolError(.repeatedKey(key.name)) }
        if TextValue.isReservedAnswer(value) {
            throw .notAgreed(key: key.name, wanted: authentication.methods, answer: value)
        }
        guard key.definition.isLegal(answer: value, to: authentication.methods) else {
            // A target that wants CHAP may propose it instead of refusing.
            if TextValue.list(value)?.contains("CHAP") == true {
                throw .notAgreed(key: key.name, wanted: authentication.methods, answer: value)
            }
            throw .protocolError(.unofferedAuthMethod(value))
        }
        state = .done
        return []
    }
}
