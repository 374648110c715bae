public import CausewayCore
public import Glibc
public import LinuxSystem

/// Reads CHAP secrets: from files that only root can read, or from the credentials that systemd hands to the
/// daemon. What is read goes straight into memory that is left out of core dumps and wiped at its end; no
/// error shows any of it.
public enum SecretFile {
    public static func read(
        _ source: SecretSource, credentials: String? = credentialsDirectory(), owner: uid_t = 0
    ) throws(SecretError) -> CHAPSecret {
        switch source {
        case .file(let path): return try read(path: path, owner: owner)
        case .credential(let name):
            guard let credentials else { throw SecretError(name, .noCredentials) }
            return try read(path: "\(credentials)/\(name)", owner: owner)
        }
    }

    public static func credentialsDirectory() -> String? {
        unsafe getenv("CREDENTIALS_DIRECTORY").map { unsafe String(cString: $0) }
    }

    private static func read(path: String, owner: uid_t) throws(SecretError) -> CHAPSecret {
        // Without waiting: a pipe in the file's place would hold up the daemon.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw SecretError(path, .system(failure("open", path))) }
        let file = OwnedDescriptor(adopting: descriptor)
        // Of what is open, not of what has the name: that may have been exchanged in between.
        var status = stat()
        guard unsafe fstat(file.rawValue, &status) == 0 else {
            throw SecretError(path, .system(failure("fstat", path)))
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SecretError(path, .notAFile) }
        guard status.st_uid == owner else { throw SecretError(path, .owner(status.st_uid)) }
        guard status.st_mode & 0o077 == 0 else { throw SecretError(path, .mode(status.st_mode & 0o7777)) }
        return try take(file, path)
    }

    private static let pageBytes = 4096

    private static func take(_ file: borrowing OwnedDescriptor, _ path: String) throws(SecretError)
        -> CHAPSecret
    {
        guard
            let page = unsafe mmap(
                nil, pageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            unsafe page != MAP_FAILED
        else { throw SecretError(path, .system(failure("mmap", path))) }
        var isKept = false
        defer { if !isKept { unsafe wipe(page) } }
        _ = unsafe madvise(page, pageBytes, 16)  // MADV_DONTDUMP
        _ = unsafe madvise(page, pageBytes, 18)  // MADV_WIPEONFORK
        _ = unsafe mlock(page, pageBytes)
        var count = 0
        while count < pageBytes {
            let n = unsafe Glibc.read(file.rawValue, page + count, pageBytes - count)
            if n < 0 {
                if errno == EINTR { continue }
                throw SecretError(path, .system(failure("read", path)))
            }
            if n == 0 { break }
            count += n
        }
        // An editor's end of the line is not part of it.
        let bytes = unsafe UnsafeRawBufferPointer(start: page, count: count)
        if count > 0, unsafe bytes[count - 1] == UInt8(ascii: "\n") {
            count -= 1
            if count > 0, unsafe bytes[count - 1] == UInt8(ascii: "\r") { count -= 1 }
        }
        let secret = unsafe UnsafeRawBufferPointer(start: page, count: count)
        guard CHAPSecret.byteCounts.contains(count) else { throw SecretError(path, .length(count)) }
        guard unsafe !secret.contains(where: { $0 == 0 || $0 == 0x0a || $0 == 0x0d }) else {
            throw SecretError(path, .severalLines)
        }
        isKept = true
        return unsafe CHAPSecret(adopting: secret) { (bytes: UnsafeRawBufferPointer) in
            if let base = bytes.baseAddress { unsafe wipe(UnsafeMutableRawPointer(mutating: base)) }
        }
    }

    private static func wipe(_ page: UnsafeMutableRawPointer) {
        unsafe explicit_bzero(page, pageBytes)
        unsafe munmap(page, pageBytes)
    }

    private static func failure(_ call: String, _ path: String) -> SystemError {
        SystemError(call: call, errno: Errno(rawValue: Glibc.errno), subject: path)
    }
}

/// Why a secret is not taken. It names the file and nothing of what is in it.
public struct SecretError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Reason: Equatable, Sendable {
        case system(SystemError)
        case notAFile
        case owner(UInt32)
        case mode(UInt32)
        /// Bytes.
        case length(Int)
        case severalLines
        case noCredentials
    }

    public var path: String
    public var reason: Reason

    init(_ path: String, _ reason: Reason) {
        self.path = path
        self.reason = reason
    }

    public var description: String {
        switch reason {
        case .system(let error): "the CHAP secret cannot be read: \(error)"
        case .notAFile: "the CHAP secret \(path) is not an ordinary file"
        case .owner(let user):
            "the CHAP secret \(path) belongs to user \(user), not to root: chown root \(path)"
        case .mode(let mode):
            """
            others than root may read or write the CHAP secret \(path) (mode \(String(mode, radix: 8))): \
            chmod 600 \(path); change the secret if others may have seen it
            """
        case .length(let count):
            """
            the CHAP secret \(path) has \(count) bytes; \
            it must have \(CHAPSecret.byteCounts.lowerBound) to \(CHAPSecret.byteCounts.upperBound)
            """
        case .severalLines: "the CHAP secret \(path) is more than one line of text"
        case .noCredentials:
            """
            the credential \(path) cannot be read: the daemon was given none; \
            set LoadCredential=\(path):FILE in the service
            """
        }
    }
}
