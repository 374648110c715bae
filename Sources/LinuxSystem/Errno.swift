import CLinux
import Glibc

/// An error number of the kernel (errno(3)), an open set.
public struct Errno: RawRepresentable, Hashable, BitwiseCopyable, Sendable, CustomStringConvertible {
    public var rawValue: Int32
    @inline(__always) public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let noSuchFile = Errno(rawValue: ENOENT)
    public static let notPermitted = Errno(rawValue: EPERM)
    public static let interrupted = Errno(rawValue: EINTR)
    public static let again = Errno(rawValue: EAGAIN)
    public static let outOfMemory = Errno(rawValue: ENOMEM)
    public static let accessDenied = Errno(rawValue: EACCES)
    public static let fileExists = Errno(rawValue: EEXIST)
    public static let noSuchDevice = Errno(rawValue: ENODEV)
    public static let invalidArgument = Errno(rawValue: EINVAL)
    public static let tooManyOpenFiles = Errno(rawValue: EMFILE)
    public static let noSpace = Errno(rawValue: ENOSPC)
    public static let brokenPipe = Errno(rawValue: EPIPE)
    public static let nameTooLong = Errno(rawValue: ENAMETOOLONG)
    public static let notSupported = Errno(rawValue: ENOSYS)
    public static let addressInUse = Errno(rawValue: EADDRINUSE)
    public static let addressNotAvailable = Errno(rawValue: EADDRNOTAVAIL)
    public static let networkDown = Errno(rawValue: ENETDOWN)
    public static let networkUnreachable = Errno(rawValue: ENETUNREACH)
    public static let hostUnreachable = Errno(rawValue: EHOSTUNREACH)
    public static let noBufferSpace = Errno(rawValue: ENOBUFS)
    public static let timedOut = Errno(rawValue: ETIMEDOUT)
    public static let connectionRefused = Errno(rawValue: ECONNREFUSED)
    public static let connectionReset = Errno(rawValue: ECONNRESET)
    public static let connectionAborted = Errno(rawValue: ECONNABORTED)
    public static let inProgress = Errno(rawValue: EINPROGRESS)

    /// The symbol, "ECONNREFUSED".
    public var name: String {
        unsafe linux_errno_name(rawValue).map { unsafe String(cString: $0) } ?? "errno \(rawValue)"
    }

    /// The C library's words, "Connection refused".
    public var words: String {
        unsafe linux_errno_words(rawValue).map { unsafe String(cString: $0) } ?? "unknown error \(rawValue)"
    }

    public var description: String { "\(words) (\(name))" }
}
