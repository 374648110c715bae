/// The metadata context `base:allocation`.
public enum BaseAllocation {
    static let namespace = "base:"
    static let contextName = "base:allocation"
    /// The number that this server gives the context; clients may not assume one.
    public static let contextID: UInt32 = 1
}

/// NBD_STATE_* of `base:allocation`. None set is always a truthful answer.
public struct AllocationFlags: OptionSet, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt32
    @inline(__always) public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Not allocated: a later write may meet a full pool.
    public static let hole = AllocationFlags(rawValue: 1 << 0)
    /// Reads as zeroes.
    public static let zero = AllocationFlags(rawValue: 1 << 1)
}

/// A run of bytes of one allocation state.
public struct BlockStatusExtent: Equatable, BitwiseCopyable, Sendable {
    /// In bytes.
    public var length: UInt32
    public var flags: AllocationFlags
    public init(length: UInt32, flags: AllocationFlags) {
        self.length = length
        self.flags = flags
    }
}

extension ReplyChunk {
    /// Room for a BLOCK_STATUS chunk of up to `extentCount` extents, in bytes.
    @inline(__always)
    public static func blockStatusByteCount(extentCount: Int) -> Int {
        headerByteCount + 4 + 8 * max(extentCount, 1)
    }

    /// Answers `request` with the extents that start at its offset, and returns how many bytes were written:
    /// at most `blockStatusByteCount(extentCount: extents.count)`.
    ///
    /// Neighbours of the same state become one extent, nothing is reported past the request's end, and a
    /// request for one extent gets one. Where nothing is known, the answer is "allocated".
    public static func writeBlockStatus(
        _ extents: Span<BlockStatusExtent>, contextID: UInt32 = BaseAllocation.contextID,
        answering request: NBDRequest, to bytes: UnsafeMutableRawPointer
    ) -> Int {
        var count = 0
        var last = BlockStatusExtent(length: 0, flags: AllocationFlags(rawValue: 0))
        var left = request.length
        let countMax = request.flags.contains(.requestOne) ? 1 : Int.max

        func store(_ extent: BlockStatusExtent, at index: Int) {
            let position = headerByteCount + 4 + 8 * index
            bytes.storeBigEndian(extent.length, position)
            bytes.storeBigEndian(extent.flags.rawValue, position + 4)
        }
        for index in extents.indices where left > 0 {
            let extent = extents[index]
            let length = min(extent.length, left)
            guard length > 0 else { continue }
            if count > 0, extent.flags == last.flags {
                last.length += length
            } else {
                guard count < countMax else { break }
                last = BlockStatusExtent(length: length, flags: extent.flags)
                count += 1
            }
            left -= length
            store(last, at: count - 1)
        }
        if count == 0 {
            store(BlockStatusExtent(length: request.length, flags: AllocationFlags(rawValue: 0)), at: 0)
            count = 1
        }
        unsafe writeHeader(
            .blockStatus, isLast: true, cookie: request.cookie, payloadByteCount: UInt32(4 + 8 * count),
            to: bytes)
        bytes.storeBigEndian(contextID, headerByteCount)
        return headerByteCount + 4 + 8 * count
    }
}
