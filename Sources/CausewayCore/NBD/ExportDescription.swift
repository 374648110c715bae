/// What an export says about itself to its clients.
public struct ExportDescription: Equatable, Sendable {
    /// The longest string that the protocol allows, in bytes.
    public static let stringByteCountMax = 4096

    /// The disk's name. The empty name means the same export.
    public let name: String
    /// For people; may be empty.
    public let description: String
    public var sizeBytes: UInt64
    public let transmissionFlags: TransmissionFlags
    /// What offsets and lengths are multiples of: the LUN's logical block, in bytes.
    public let minimumBlockSize: UInt32
    /// The request size that is served best, in bytes: a power of two, at least 512.
    public let preferredBlockSize: UInt32
    /// The longest READ or WRITE, in bytes.
    public let maximumBlockSize: UInt32
    /// Whether BLOCK_STATUS can answer for `base:allocation`.
    public let baseAllocation: Bool

    /// The preferred size is rounded up to a power of two and the maximum down to whole blocks, as NBD wants
    /// them.
    public init(
        name: String, description: String = "", sizeBytes: UInt64, transmissionFlags: TransmissionFlags,
        minimumBlockSize: UInt32, preferredBlockSize: UInt32 = 4096,
        maximumBlockSize: UInt32 = RequestRules.kernelPayloadMax, baseAllocation: Bool = false
    ) throws(ExportDescriptionError) {
        guard minimumBlockSize.nonzeroBitCount == 1, minimumBlockSize <= 65536 else {
            throw .blockSize(minimumBlockSize)
        }
        guard sizeBytes <= UInt64(Int64.max) else { throw .size(sizeBytes) }
        guard name.utf8.count <= Self.stringByteCountMax else { throw .nameLength(name.utf8.count) }
        guard description.utf8.count <= Self.stringByteCountMax else {
            throw .descriptionLength(description.utf8.count)
        }
        let preferredMin = max(minimumBlockSize, 512)
        let preferred = min(max(preferredBlockSize, preferredMin), RequestRules.kernelPayloadMax)
        self.name = name
        self.description = description
        self.sizeBytes = sizeBytes
        self.transmissionFlags = transmissionFlags.union(.hasFlags)
        self.minimumBlockSize = minimumBlockSize
        self.preferredBlockSize = 1 << UInt32(32 - (preferred - 1).leadingZeroBitCount)
        self.maximumBlockSize = max(
            maximumBlockSize - maximumBlockSize % minimumBlockSize, self.preferredBlockSize)
        self.baseAllocation = baseAllocation
    }

    /// What a client is told. DF is offered if and only if replies are structured: every READ is answered
    /// with one content chunk, so nothing more is needed for it.
    func announcedFlags(structuredReplies: Bool) -> TransmissionFlags {
        structuredReplies
            ? transmissionFlags.union(.sendDoNotFragment) : transmissionFlags.subtracting(.sendDoNotFragment)
    }
}

/// Why a disk cannot be an NBD export.
public enum ExportDescriptionError: Error, Equatable, Sendable, CustomStringConvertible {
    case blockSize(UInt32)
    case size(UInt64)
    case nameLength(Int)
    case descriptionLength(Int)

    public var description: String {
        switch self {
        case .blockSize(let bytes):
            "the LUN's blocks are \(bytes) bytes long; NBD needs a power of two up to 65536"
        case .size(let bytes): "the LUN is \(bytes) bytes large; NBD clients take at most 2^63 - 1"
        case .nameLength(let bytes): "the export's name is \(bytes) bytes long; NBD allows 4096"
        case .descriptionLength(let bytes): "the export's description is \(bytes) bytes long; NBD allows 4096"
        }
    }
}

/// NBD_FLAG_*: what an export can do. The kernel driver knows some of them, under the same numbers.
public struct TransmissionFlags: OptionSet, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt16
    @inline(__always) public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Always set.
    public static let hasFlags = TransmissionFlags(rawValue: 1 << 0)
    public static let readOnly = TransmissionFlags(rawValue: 1 << 1)
    public static let sendFlush = TransmissionFlags(rawValue: 1 << 2)
    public static let sendForceUnitAccess = TransmissionFlags(rawValue: 1 << 3)
    public static let rotational = TransmissionFlags(rawValue: 1 << 4)
    public static let sendTrim = TransmissionFlags(rawValue: 1 << 5)
    public static let sendWriteZeroes = TransmissionFlags(rawValue: 1 << 6)
    public static let sendDoNotFragment = TransmissionFlags(rawValue: 1 << 7)
    /// A FLUSH on one connection covers the writes of all.
    public static let canMultiConnection = TransmissionFlags(rawValue: 1 << 8)
    public static let sendResize = TransmissionFlags(rawValue: 1 << 9)
    public static let sendCache = TransmissionFlags(rawValue: 1 << 10)
    public static let sendFastZero = TransmissionFlags(rawValue: 1 << 11)
}
