/// Header and data digests (RFC 7143 §7.8, §11.2.3, §13.1): CRC32C over the header, and over data with its
/// padding.
///
/// At ErrorRecoveryLevel 0 a damaged PDU ends the connection: with a damaged header nobody knows where the
/// next one begins, and a damaged answer would be missed. What was under way is then sent again as after any
/// lost connection, writes behind the fence.

/// Which digests PDUs of a stream carry.
struct StreamDigests: BitwiseCopyable {
    /// Bit 2: header digest, bit 3: data digest. So the byte counts come without a branch.
    private var bits: UInt8 = 0

    init() {}

    init(_ parameters: NegotiatedParameters) {
        bits = (parameters.headerDigest == .crc32c ? 4 : 0) | (parameters.dataDigest == .crc32c ? 8 : 0)
    }

    @inline(__always) var isEmpty: Bool { bits == 0 }
    @inline(__always) var coversHeader: Bool { bits & 4 != 0 }
    @inline(__always) var coversData: Bool { bits & 8 != 0 }
    /// Bytes behind the header.
    @inline(__always) var headerByteCount: Int { Int(bits & 4) }
    /// Bytes behind data, if there is any.
    @inline(__always) var dataByteCount: Int { Int(bits & 8) &>> 1 }
}

extension Lane {
    /// Adds the digests of stream `index` to an entry that is otherwise whole.
    @inline(never)
    func seal(_ entry: UnsafeMutablePointer<SendEntry>, _ index: Int32) {
        let digests = streams[index].digests
        if digests.coversHeader {
            let count = unsafe Int(entry.pointee.headerCount)
            let digest = unsafe settings.checksum(0, entry, count)
            unsafe UnsafeMutableRawPointer(entry).storeBytes(
                of: digest.littleEndian, toByteOffset: count, as: UInt32.self)
            unsafe entry.pointee.headerCount = UInt8(truncatingIfNeeded: count &+ 4)
        }
        if digests.coversData, let payload = unsafe entry.pointee.payload {
            let padding = unsafe entry.pointee.trailerCount
            var digest = unsafe settings.checksum(0, payload, Int(entry.pointee.payloadCount))
            if padding > 0 {
                let trailer = unsafe UnsafeRawPointer(entry) + SendQueue.trailerOffset
                digest = unsafe settings.checksum(digest, trailer, Int(padding))
            }
            unsafe entry.pointee.trailer = (UInt64(digest) &<< UInt64(8 &* padding)).littleEndian
            unsafe entry.pointee.trailerCount = padding &+ 4
        }
    }

    /// Whether the digest behind `count` bytes is theirs.
    @inline(never)
    func isIntact(_ bytes: UnsafeRawPointer, _ count: Int) -> Bool {
        let digest = unsafe bytes.loadUnaligned(fromByteOffset: count, as: UInt32.self)
        return unsafe settings.checksum(0, bytes, count) == UInt32(littleEndian: digest)
    }

    @inline(never)
    mutating func headerIsDamaged(_ path: Int32, _ index: Int32) {
        pathQueues[path].counters.headerDigestErrors &+= 1
        violation(path, index, .headerDigest)
    }

    @inline(never)
    mutating func dataIsDamaged(_ path: Int32, _ index: Int32, _ opcode: Opcode) {
        pathQueues[path].counters.dataDigestErrors &+= 1
        violation(path, index, .dataDigest(opcode))
    }
}
