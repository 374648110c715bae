/// A table of fixed size that owns its memory. Elements are read and changed in place, without copies,
/// exclusivity checks or reference counts, so lanes keep everything that moves with a request in tables like
/// this.
///
/// Safe because the memory lives exactly as long as the table, every element is initialised at once, and
/// every access is checked against the capacity.
@safe
struct Slots<Element: BitwiseCopyable>: ~Copyable {
    private let base: UnsafeMutablePointer<Element>
    let capacity: Int

    init(capacity: Int, repeating element: Element) {
        self.capacity = capacity
        unsafe base = .allocate(capacity: capacity)
        unsafe base.initialize(repeating: element, count: capacity)
    }

    deinit {
        unsafe base.deallocate()
    }

    @inline(__always)
    subscript(index: Int) -> Element {
        unsafeAddress {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: capacity))
            return unsafe UnsafePointer(base + index)
        }
        nonmutating unsafeMutableAddress {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: capacity))
            return unsafe base + index
        }
    }

    /// Where element `index` lies, for as long as the table lives.
    @inline(__always)
    func address(_ index: Int) -> UnsafePointer<Element> {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: capacity))
        return unsafe UnsafePointer(base + index)
    }

    @inline(__always)
    func mutableAddress(_ index: Int) -> UnsafeMutablePointer<Element> {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: capacity))
        return unsafe base + index
    }

    @inline(__always)
    subscript(index: Int32) -> Element {
        unsafeAddress {
            precondition(UInt(bitPattern: Int(index)) < UInt(bitPattern: capacity))
            return unsafe UnsafePointer(base + Int(index))
        }
        nonmutating unsafeMutableAddress {
            precondition(UInt(bitPattern: Int(index)) < UInt(bitPattern: capacity))
            return unsafe base + Int(index)
        }
    }
}

/// The indices of a table that are not in use. The one given back last is taken first: its memory is still in
/// the cache.
struct FreeIndices: ~Copyable {
    private let stack: Slots<Int32>
    private(set) var count: Int

    init(capacity: Int) {
        stack = Slots(capacity: capacity, repeating: 0)
        count = capacity
        for index in 0..<capacity { stack[index] = Int32(capacity - 1 - index) }
    }

    @inline(__always)
    mutating func take() -> Int32? {
        guard count > 0 else { return nil }
        count &-= 1
        return stack[count]
    }

    @inline(__always)
    mutating func giveBack(_ index: Int32) {
        stack[count] = index
        count &+= 1
    }
}
