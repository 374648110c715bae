import CLinux
import Glibc

/// Files of a few bytes, as /proc, /sys and /etc have them. Not for a lane: they may wait.
public enum SmallFile {
    /// The whole content; EFBIG if it has more than `limit` bytes.
    public static func read(_ path: String, limit: Int = 65_536) throws(SystemError) -> String {
        let file = OwnedDescriptor(adopting: try check(unsafe linux_open(path, O_RDONLY), "open", path))
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count <= limit {
            let n = unsafe bytes.withUnsafeMutableBytes { buffer -> Int in
                guard let start = buffer.baseAddress else { return 0 }
                return unsafe Glibc.read(file.rawValue, start + count, buffer.count - count)
            }
            if n < 0 {
                let error = Errno(rawValue: Glibc.errno)
                if error == .interrupted { continue }
                throw SystemError(call: "read", errno: error, subject: path)
            }
            if n == 0 { return String(decoding: bytes[..<count], as: UTF8.self) }
            count += n
        }
        throw SystemError(call: "read", errno: Errno(rawValue: EFBIG), subject: path)
    }

    /// Writes to a file that exists, in one call, as /proc and /sys want it.
    public static func write(_ text: String, to path: String) throws(SystemError) {
        let file = OwnedDescriptor(
            adopting: try check(unsafe linux_open(path, O_WRONLY | O_TRUNC), "open", path))
        var text = text
        let count = text.withUTF8 { unsafe Glibc.write(file.rawValue, $0.baseAddress, $0.count) }
        guard count == text.utf8.count else {
            throw SystemError(
                call: "write", errno: Errno(rawValue: count < 0 ? Glibc.errno : EIO), subject: path)
        }
    }
}
