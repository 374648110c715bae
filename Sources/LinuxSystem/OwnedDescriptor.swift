import CLinux
import Glibc

/// The one owner of a file descriptor, which is closed with it.
///
/// Everything in this module that makes a descriptor makes it close-on-exec and non-blocking.
public struct OwnedDescriptor: ~Copyable, Sendable {
    /// The number, for system calls while the owner lives.
    public let rawValue: Int32

    /// Takes over a descriptor that nothing else closes.
    public init(adopting rawValue: Int32) {
        precondition(rawValue >= 0)
        self.rawValue = rawValue
    }

    deinit { close(rawValue) }

    /// Gives the descriptor to the caller, who closes it from now on.
    public consuming func release() -> Int32 {
        let rawValue = rawValue
        discard self
        return rawValue
    }
}
