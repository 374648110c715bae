/// What is wrong with data that a target sent in answer to a command. Always the target's fault, or that of
/// an allocation length that was too small.
public enum SCSIDataError: Error, Equatable, Sendable {
    /// The data end too early. With an allocation length of `need` bytes the target may give them whole.
    case truncated(SCSIDataKind, need: Int, have: Int)
    /// Another page came than the one that was asked for.
    case wrongPage(asked: UInt8, found: UInt8)
    /// An element at byte `offset` contradicts the structure around it.
    case malformed(SCSIDataKind, offset: Int)
    /// A well-formed value that no disk can be built on.
    case unusable(SCSIDataKind, field: StaticString, value: UInt64)

    public static func == (a: Self, b: Self) -> Bool { a.description == b.description }
}

/// The answers that are parsed here, named as the standards name them.
public enum SCSIDataKind: String, BitwiseCopyable, Sendable {
    case inquiry = "INQUIRY"
    case vitalProductData = "INQUIRY VPD"
    case readCapacity = "READ CAPACITY(16)"
    case modeSense = "MODE SENSE"
    case reportLUNs = "REPORT LUNS"
    case lbaStatus = "GET LBA STATUS"
    case targetPortGroups = "REPORT TARGET PORT GROUPS"
    case reservationKeys = "READ KEYS"
    case reservation = "READ RESERVATION"
}

extension SCSIDataError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated(let kind, let need, let have):
            "the target sent \(have) bytes of \(kind.rawValue) data where \(need) are needed"
        case .wrongPage(let asked, let found):
            "the target sent vital product data page \(found.hexadecimalDigits)h "
                + "when asked for \(asked.hexadecimalDigits)h"
        case .malformed(let kind, let offset):
            "the target sent \(kind.rawValue) data that contradict themselves at byte \(offset)"
        case .unusable(let kind, let field, let value):
            "the target's \(kind.rawValue) data give \(field) as \(value), which cannot be used"
        }
    }
}
