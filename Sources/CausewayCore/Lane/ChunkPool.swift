/// Names a chunk of a lane's `ChunkPool`; `none` stands for memory that no pool owns.
struct ChunkID: BitwiseCopyable, Equatable {
    var index: Int32
    static let none = ChunkID(index: -1)
    @inline(__always) var isSome: Bool { index >= 0 }
}

/// The memory that a lane receives into. Sockets fill a chunk from front to back; requests are parsed where
/// they lie, and whoever still needs bytes of a chunk (a write that is not answered, a reply that is not
/// sent) pins it. A chunk without pins goes back to the pool.
///
/// Safe because chunks are handed out by index with a count of pins, the memory lives as long as the pool,
/// and pointers into it are only used while a pin is held.
@safe
struct ChunkPool: ~Copyable {
    /// The first property: where memory behind another one is changed, Swift 6.3 takes that for an address,
    /// for the sake of the thread sanitizer.
    private let memory: UnsafeMutableRawPointer
    let chunkBytes: Int
    let capacity: Int
    private let pins: Slots<Int32>
    private var free: FreeIndices
    /// Bytes that requests and replies hold on the heap beside the chunks.
    var heapBytes = 0

    init(count: Int, chunkBytes: Int) {
        self.chunkBytes = chunkBytes
        capacity = count
        unsafe memory = .allocate(byteCount: count * chunkBytes, alignment: 4096)
        pins = Slots(capacity: count, repeating: 0)
        free = FreeIndices(capacity: count)
    }

    /// Touches the memory of the chunks that are taken first, so that in use it need not be found any more.
    func makeResident(_ chunkCount: Int) {
        for chunk in 0..<min(chunkCount, capacity) {
            for page in stride(from: 0, to: chunkBytes, by: 4096) {
                unsafe (memory + chunk * chunkBytes + page).storeBytes(of: 0, as: UInt8.self)
            }
        }
    }

    deinit {
        unsafe memory.deallocate()
    }

    var freeCount: Int { free.count }

    /// A chunk with one pin, or nil when all are in use: the caller then stops reading until one comes back.
    @inline(__always)
    mutating func take() -> ChunkID? {
        guard let index = free.take() else { return nil }
        pins[index] = 1
        return ChunkID(index: index)
    }

    @inline(__always)
    func base(_ chunk: ChunkID) -> UnsafeMutableRawPointer {
        precondition(UInt(bitPattern: Int(chunk.index)) < UInt(bitPattern: capacity))
        return unsafe memory + Int(chunk.index) &* chunkBytes
    }

    @inline(__always)
    func pin(_ chunk: ChunkID) {
        pins[chunk.index] &+= 1
    }

    @inline(__always)
    mutating func unpin(_ chunk: ChunkID) {
        pins[chunk.index] &-= 1
        assert(pins[chunk.index] >= 0)
        if pins[chunk.index] == 0 { free.giveBack(chunk.index) }
    }

    /// Whether the caller's pin is the only one, so that it may start again at the front.
    @inline(__always)
    func isOnlyPin(_ chunk: ChunkID) -> Bool { pins[chunk.index] == 1 }
}
