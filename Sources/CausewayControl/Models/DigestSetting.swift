/// How an attach stands to a digest (CRC32C over headers or data, RFC 7143 §13.1). The target has its say
/// too.
public enum DigestSetting: String, Codable, CaseIterable, Sendable {
    case none
    /// Only if the target insists.
    case preferNone = "prefer-none"
    /// If the target can.
    case preferCRC32C = "prefer-crc32c"
    /// No session without it.
    case crc32c
}
