/// How a target broke the protocol, so that the log can name the guilty side.
enum ProtocolViolation: BitwiseCopyable, CustomStringConvertible {
    case tooLong(Opcode, Int)
    case unknownTask(Opcode, UInt32)
    case dataOutOfPlace(offset: UInt32, count: Int32)
    case statSN(expected: StatSN, got: StatSN)
    case transferRequest(offset: UInt32, length: UInt32)
    case unexpected(Opcode)
    /// The opcode of the PDU that was rejected, if the target said which.
    case rejected(Reject.Reason, Opcode?)
    /// Nobody's intention: bytes changed on their way, which TCP's own checksum did not notice.
    case headerDigest
    case dataDigest(Opcode)

    var description: String {
        switch self {
        case .tooLong(let opcode, let count):
            "the target sent a PDU (\(Self.name(opcode))) of \(count) bytes, more than it may, or with an AHS"
        case .unknownTask(let opcode, let tag):
            "the target answered (\(Self.name(opcode))) a task that is not under way: tag \(tag)"
        case .dataOutOfPlace(let offset, let count):
            "the target sent \(count) bytes of Data-In for offset \(offset), which is not where they belong"
        case .statSN(let expected, let got):
            "the target sent StatSN \(got), expected \(expected)"
        case .transferRequest(let offset, let length):
            "the target asked (R2T) for \(length) bytes at offset \(offset), which it may not"
        case .unexpected(let opcode):
            "the target sent a PDU that fits nothing: \(Self.name(opcode))"
        case .rejected(let reason, let opcode):
            "the target rejected a PDU\(opcode.map { " (\(Self.name($0)))" } ?? ""): \(reason)"
        case .headerDigest:
            "a header from the target was damaged on its way: its digest does not match"
        case .dataDigest(let opcode):
            "data from the target was damaged on its way: its digest does not match (\(Self.name(opcode)))"
        }
    }

    private static func name(_ opcode: Opcode) -> String { "opcode 0x\(String(opcode.rawValue, radix: 16))" }
}
