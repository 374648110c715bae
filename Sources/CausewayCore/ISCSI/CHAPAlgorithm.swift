/// The hash functions of CHAP, by their numbers on the wire (RFC 1994 §3, and IANA's registry of PPP
/// authentication algorithms).
public enum CHAPAlgorithm: UInt8, CaseIterable, BitwiseCopyable, Sendable, CustomStringConvertible {
    case md5 = 5
    case sha1 = 6
    case sha256 = 7
    case sha3256 = 8

    public static let strongestFirst: [CHAPAlgorithm] = [.sha3256, .sha256, .sha1, .md5]

    /// Bytes of a response.
    public var digestByteCount: Int {
        switch self {
        case .md5: 16
        case .sha1: 20
        case .sha256, .sha3256: 32
        }
    }

    public var description: String {
        switch self {
        case .md5: "MD5"
        case .sha1: "SHA-1"
        case .sha256: "SHA-256"
        case .sha3256: "SHA3-256"
        }
    }
}
