/// How much one side is to prove who it is.
public enum AuthenticationLevel: String, CaseIterable, Sendable {
    /// Never, even where the peer asks for it.
    case prohibited
    /// Only where the peer does not do without.
    case discouraged
    /// Wherever the peer can.
    case preferred
    /// Always: no session without it.
    case required
}

/// A secret in memory that its owner keeps out of core dumps, and wipes when nobody uses it any more. It is
/// never copied, compared only in constant time, and has no description.
///
/// Safe because the memory is its own from the beginning to `release`, and never changes in between.
@safe
public final class CHAPSecret: @unchecked Sendable {
    /// RFC 7143 §9.2.1: 96 bits at least. The upper bound is ours.
    public static let byteCounts = 12...1024

    private let bytes: UnsafeRawBufferPointer
    private let release: @Sendable (UnsafeRawBufferPointer) -> Void

    /// - Parameter release: wipes the memory and gives it back.
    public init(
        adopting bytes: UnsafeRawBufferPointer, release: @escaping @Sendable (UnsafeRawBufferPointer) -> Void
    ) {
        unsafe self.bytes = bytes
        unsafe self.release = release
    }

    deinit { unsafe release(bytes) }

    public func withBytes<Result, Failure>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe body(bytes)
    }

    public var byteCount: Int { unsafe bytes.count }

    public func isSame(as other: CHAPSecret) -> Bool {
        guard byteCount == other.byteCount else { return false }
        var difference: UInt8 = 0
        for index in 0..<byteCount { difference |= unsafe bytes[index] ^ other.bytes[index] }
        return difference == 0
    }
}

/// What the core has not: hash functions and randomness.
public struct CHAPFunctions: Sendable {
    /// H(identifier ‖ secret ‖ challenge).
    public var hash: @Sendable (CHAPAlgorithm, UInt8, CHAPSecret, [UInt8]) throws(CHAPHashError) -> [UInt8]
    /// So many bytes that nobody can foresee.
    public var randomBytes: @Sendable (Int) -> [UInt8]

    public init(
        hash:
            @escaping @Sendable (CHAPAlgorithm, UInt8, CHAPSecret, [UInt8]) throws(CHAPHashError) -> [UInt8],
        randomBytes: @escaping @Sendable (Int) -> [UInt8]
    ) {
        self.hash = hash
        self.randomBytes = randomBytes
    }
}

/// Why there is no hash, such as MD5 under FIPS rules.
public struct CHAPHashError: Error, Equatable, Sendable {
    public var reason: String
    public init(reason: String) { self.reason = reason }
}

/// CHAP for a login (RFC 7143 §12.1.3). `CHAPOptions.problem` says whether it can be used.
public struct CHAPOptions: Sendable {
    /// How much this side is to prove to the target.
    public var level = AuthenticationLevel.required
    public var user: String
    public var secret: CHAPSecret
    /// How much the target is to prove to this side.
    public var mutualLevel = AuthenticationLevel.prohibited
    /// What the target has to call itself; nil: any name.
    public var mutualUser: String?
    public var mutualSecret: CHAPSecret?
    /// The preferred first.
    public var algorithms = CHAPAlgorithm.strongestFirst
    public var functions: CHAPFunctions
    /// Challenges of earlier logins, the target's and our own: none is taken twice.
    public var knownChallenges: [[UInt8]] = []

    public init(user: String, secret: CHAPSecret, functions: CHAPFunctions) {
        self.user = user
        self.secret = secret
        self.functions = functions
    }

    /// Whether the target is asked to prove who it is.
    var asksTarget: Bool {
        mutualSecret != nil && (mutualLevel == .preferred || mutualLevel == .required)
    }

    /// Whether the same is set, secrets included; the challenges that are known do not count.
    func isSame(as other: CHAPOptions) -> Bool {
        guard level == other.level, user == other.user, secret.isSame(as: other.secret),
            mutualLevel == other.mutualLevel, mutualUser == other.mutualUser, algorithms == other.algorithms
        else { return false }
        guard let mutualSecret, let theirs = other.mutualSecret else {
            return mutualSecret == nil && other.mutualSecret == nil
        }
        return mutualSecret.isSame(as: theirs)
    }

    /// Why these options cannot be used; nil if they can.
    public var problem: String? {
        let bytes = CHAPSecret.byteCounts
        let count = secret.byteCount
        guard bytes.contains(count) else {
            return
                "the CHAP secret has \(count) bytes; it must have \(bytes.lowerBound) to \(bytes.upperBound)"
        }
        guard (1...255).contains(user.utf8.count), !user.utf8.contains(0) else {
            return "the CHAP user has 1 to 255 bytes and no NUL"
        }
        guard !algorithms.isEmpty else { return "no CHAP algorithm is allowed" }
        guard let mutualSecret else {
            return mutualLevel == .required
                ? "the target has to prove who it is, but its secret is not set" : nil
        }
        let mutualCount = mutualSecret.byteCount
        guard bytes.contains(mutualCount) else {
            return "the target's CHAP secret has \(mutualCount) bytes; "
                + "it must have \(bytes.lowerBound) to \(bytes.upperBound)"
        }
        guard !asksTarget || level == .required || mutualLevel == .preferred && level == .preferred else {
            return "the target proves who it is only after this side has: the level must be "
                + "\(mutualLevel.rawValue) as well"
        }
        // RFC 7143 §9.2.1: a target could answer its own challenges otherwise.
        guard !secret.isSame(as: mutualSecret) else {
            return "the same CHAP secret is set for both directions: each needs its own"
        }
        return nil
    }
}

/// How to prove who we are.
public enum Authentication: Sendable {
    case none
    case chap(CHAPOptions)

    /// The values of AuthMethod to offer, the preferred first (RFC 7143 §12.1).
    var methods: String {
        switch self {
        case .none: "None"
        case .chap(let options):
            switch options.level {
            case .prohibited: "None"
            case .discouraged: "None,CHAP"
            case .preferred: "CHAP,None"
            case .required: "CHAP"
            }
        }
    }

    /// Whether it proves the same in the same way.
    public func isSame(as other: Authentication) -> Bool {
        switch (self, other) {
        case (.none, .none): true
        case (.chap(let a), .chap(let b)): a.isSame(as: b)
        case (.none, .chap), (.chap, .none): false
        }
    }

    /// The same with MD5 as the only algorithm.
    public var withMD5Alone: Authentication {
        guard case .chap(var options) = self else { return self }
        options.algorithms = [.md5]
        return .chap(options)
    }

    /// The same, with challenges that must not come again.
    public func knowing(_ challenges: [[UInt8]]) -> Authentication {
        guard case .chap(var options) = self else { return self }
        options.knownChallenges += challenges
        return .chap(options)
    }
}
