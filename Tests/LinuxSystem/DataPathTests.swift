import CLinux
import Testing

@testable import LinuxSystem

/// The compiler refuses this file if one of the calls of the data path may lock or allocate.
@_noLocks
private func oneTurn(
    _ descriptor: Int32, _ bytes: UnsafeMutableRawPointer, _ pieces: UnsafeMutablePointer<iovec>
) -> Int {
    let begin = linux_monotonic_nanoseconds()
    var total = linux_send(descriptor, bytes, 1)
    total &+= linux_send_pieces(descriptor, pieces, 1, true)
    total &+= linux_receive(descriptor, bytes, 1)
    total &+= linux_receive_pieces(descriptor, pieces, 1)
    return linux_monotonic_nanoseconds() >= begin ? total : -1
}

@Suite struct DataPathTests {
    @Test func everyCallGivesNegativeErrorNumbers() throws {
        var byte: UInt8 = 0
        let pair = try SocketPair()
        let total = withUnsafeMutableBytes(of: &byte) { bytes in
            guard let start = bytes.baseAddress else { return 0 }
            var piece = iovec(iov_base: start, iov_len: 1)
            return oneTurn(pair.laneEnd.rawValue, start, &piece)
        }
        // Two bytes sent; two reads with nothing there.
        #expect(total == 2 - 2 * 11)
    }
}
