import CausewayControl
import Glibc

/// Words that threads send to the one thread that polls: four bytes each, so a write is atomic.
struct EventPipe: Sendable {
    let readEnd: Int32
    private let writeEnd: Int32

    init() throws(SystemCallError) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw SystemCallError("pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    func send(_ word: UInt32) {
        var count = 0
        repeat {
            count = unsafe withUnsafeBytes(of: word) { unsafe write(writeEnd, $0.baseAddress, $0.count) }
        } while count < 0 && errno == EINTR
    }

    /// Waits for a word.
    func receive() -> UInt32? {
        var word: UInt32 = 0
        var count = 0
        repeat {
            count = unsafe withUnsafeMutableBytes(of: &word) {
                unsafe read(readEnd, $0.baseAddress, $0.count)
            }
        } while count < 0 && errno == EINTR
        return count == MemoryLayout<UInt32>.size ? word : nil
    }

    func close() {
        _ = Glibc.close(readEnd)
        _ = Glibc.close(writeEnd)
    }
}
