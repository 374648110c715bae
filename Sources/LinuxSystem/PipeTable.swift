import CLinux
import Glibc

/// The pipes of a lane's runner, by number; those that cannot be made are simply not offered.
///
/// Safe because the memory lives as long as the table and every index is checked.
@safe
struct PipeTable: ~Copyable {
    private let ends: UnsafeMutablePointer<(read: Int32, write: Int32)>
    /// How many there are.
    private(set) var capacity: Int

    /// Room for the pieces in which 256 KiB arrive from a network: one slot each. What an unprivileged
    /// process may have.
    private static let byteCount: Int32 = 1 << 20

    init(capacity wanted: Int) {
        unsafe ends = .allocate(capacity: wanted)
        unsafe ends.initialize(repeating: (-1, -1), count: wanted)
        capacity = 0
        while capacity < wanted {
            var pair: (Int32, Int32) = (-1, -1)
            let result = unsafe withUnsafeMutableBytes(of: &pair) { bytes in
                guard let base = unsafe bytes.bindMemory(to: Int32.self).baseAddress else { return Int32(-1) }
                return unsafe linux_pipe(base, Self.byteCount)
            }
            guard result >= 0 else { break }
            unsafe ends[capacity] = (read: pair.0, write: pair.1)
            capacity += 1
        }
    }

    deinit {
        for index in 0..<capacity {
            close(unsafe ends[index].read)
            close(unsafe ends[index].write)
        }
        unsafe ends.deallocate()
    }

    @inline(__always)
    func readEnd(_ pipe: Int32) -> Int32 {
        precondition(UInt(bitPattern: Int(pipe)) < UInt(bitPattern: capacity))
        return unsafe ends[Int(pipe)].read
    }

    @inline(__always)
    func writeEnd(_ pipe: Int32) -> Int32 {
        precondition(UInt(bitPattern: Int(pipe)) < UInt(bitPattern: capacity))
        return unsafe ends[Int(pipe)].write
    }

    /// Reads `count` bytes that are in the pipe; fewer only if they are not.
    func read(_ pipe: Int32, into base: UnsafeMutableRawPointer, count: Int) -> Int {
        var done = 0
        while done < count {
            let got = unsafe Glibc.read(readEnd(pipe), base + done, count - done)
            if got <= 0 { break }
            done += got
        }
        return done
    }

    /// Throws away what is in the pipes of a mask.
    func empty(_ mask: UInt64) {
        let size = 65_536
        let waste = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        defer { unsafe waste.deallocate() }
        for pipe in 0..<Int32(capacity) where mask & 1 << UInt64(pipe) != 0 {
            while unsafe Glibc.read(readEnd(pipe), waste, size) > 0 {}
        }
    }
}
