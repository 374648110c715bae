/// A call as Varlink puts it on the wire. Absent flags are false.
public struct VarlinkCall<Parameters: Codable & Sendable>: Codable, Sendable {
    public var method: String
    public var parameters: Parameters?
    /// The caller is ready for several replies.
    public var more: Bool?
    /// The caller wants no reply at all.
    public var oneway: Bool?
    /// The caller wants to speak another protocol afterwards, which nothing here offers.
    public var upgrade: Bool?

    public init(method: String, parameters: Parameters?, more: Bool? = nil, oneway: Bool? = nil) {
        self.method = method
        self.parameters = parameters
        self.more = more
        self.oneway = oneway
    }
}

/// A reply as Varlink puts it on the wire: parameters of the method's result, or of the error.
public struct VarlinkReply<Parameters: Codable & Sendable>: Codable, Sendable {
    public var parameters: Parameters?
    /// More replies to the same call follow.
    public var continues: Bool?
    /// The error's full name, such as `io.causeway.NoSuchDisk`; nil on success.
    public var error: String?

    public init(parameters: Parameters?, continues: Bool? = nil, error: String? = nil) {
        self.parameters = parameters
        self.continues = continues
        self.error = error
    }
}

/// The parameters of a method that takes or returns none. Whatever a peer puts there is ignored.
public struct NoParameters: Codable, Equatable, Sendable {
    public init() {}
    public init(from decoder: any Decoder) {}
}
