import Glibc

/// A system call that failed.
public struct SystemCallError: Error, Equatable, Sendable {
    public let call: String
    /// The `errno`.
    public let code: Int32
    public let path: String?

    public init(_ call: String, code: Int32, path: String? = nil) {
        self.call = call
        self.code = code
        self.path = path
    }

    /// With the thread's `errno`, right after the call.
    public init(_ call: String, path: String? = nil) {
        self.init(call, code: errno, path: path)
    }
}

extension SystemCallError: CustomStringConvertible {
    /// Such as `bind /run/causeway/io.causeway: Permission denied`.
    public var description: String {
        // glibc's strerror is safe among threads since 2.32.
        let reason = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
        return path.map { "\(call) \($0): \(reason)" } ?? "\(call): \(reason)"
    }
}
