import CLinux
import Glibc

/// What tells this machine, and this network of it, from every other: the roots of the session identifiers.
public enum MachineIdentity {
    /// The 32 hexadecimal digits of machine-id(5), lower case. Throws where they are missing or not yet
    /// written, as in an image that has never been booted.
    public static func machineID(path: String = "/etc/machine-id") throws(SystemError) -> String {
        let text = try SmallFile.read(path, limit: 256)
        let digits = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)[0]
            .lowercased()
        let isHexadecimal = digits.utf8.allSatisfy {
            ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x66)
        }
        guard digits.utf8.count == 32, isHexadecimal, !digits.utf8.allSatisfy({ $0 == 0x30 }) else {
            throw SystemError(
                call: "read", errno: .invalidArgument, subject: path,
                hint: "it should hold 32 hexadecimal digits; `systemd-machine-id-setup` writes it")
        }
        return digits
    }

    /// The inode of the calling thread's network namespace (namespaces(7)), the same for all who share it.
    public static func networkNamespace() throws(SystemError) -> UInt64 {
        let path = "/proc/thread-self/ns/net"
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            throw SystemError(call: "stat", errno: Errno(rawValue: Glibc.errno), subject: path)
        }
        return UInt64(status.st_ino)
    }
}
