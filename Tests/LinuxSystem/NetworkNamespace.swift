import CLinux
import Glibc
import Synchronization
import Testing

@testable import LinuxSystem

/// Why a test that needs its own network is skipped.
let needsRoot = Comment("needs root, for a network namespace of its own")
var isRoot: Bool { geteuid() == 0 }

/// A program that a test ran and that failed.
struct ProgramFailed: Error {
    var arguments: [String]
    var status: Int32
}

/// Runs a program in the calling thread's network namespace and waits for its end.
func run(_ arguments: String...) throws { try run(arguments) }

func run(_ arguments: [String]) throws {
    var pid: pid_t = 0
    var cArguments: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for argument in cArguments { free(argument) } }
    let result = posix_spawnp(&pid, arguments[0], nil, nil, &cArguments, environ)
    guard result == 0 else { throw ProgramFailed(arguments: arguments, status: result) }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    guard status == 0 else { throw ProgramFailed(arguments: arguments, status: status) }
}

/// Runs `body` on a thread that has a network namespace to itself; interfaces made there go with it.
func inNewNetworkNamespace<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
    let outcome = Outcome<Value>()
    let thread = try startThread(name: "test netns") {
        outcome.set(
            Result {
                try check(linux_unshare_network(), "unshare", "CLONE_NEWNET")
                try run("ip", "link", "set", "lo", "up")
                return try body()
            })
    }
    thread.join()
    return try outcome.get()
}

private final class Outcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)
    func set(_ value: sending Result<Value, any Error>) { result.withLock { $0 = value } }
    func get() throws -> Value {
        guard let result = result.withLock({ $0 }) else {
            throw ProgramFailed(arguments: ["thread"], status: -1)
        }
        return try result.get()
    }
}

/// A fresh directory, removed with everything in it at the end.
struct TemporaryDirectory: ~Copyable {
    let path: String

    init() throws {
        var template = Array("/tmp/causeway-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw SystemError(call: "mkdtemp", errno: Errno(rawValue: errno), subject: "/tmp")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != "." && name != ".." { unlink("\(path)/\(name)") }
            }
            closedir(directory)
        }
        rmdir(path)
    }
}

/// Waits for one slot to become ready, at most ten seconds.
func ready(_ descriptor: Int32, for readiness: Readiness) throws -> PollEvent? {
    var poller = try Poller(slotCapacity: 1)
    try poller.add(descriptor, slot: 0, for: readiness)
    guard poller.wait(timeoutNanoseconds: 10_000_000_000) > 0 else { return nil }
    return poller.event(0)
}

/// Sends and receives on non-blocking sockets, waiting where the test may.
func sendText(_ text: String, on socket: Int32) -> Int {
    var text = text
    return text.withUTF8 { bytes in bytes.baseAddress.map { linux_send(socket, $0, bytes.count) } ?? 0 }
}

func receiveText(on socket: Int32) throws -> String {
    _ = try ready(socket, for: [.readable])
    return try receiveNow(on: socket)
}

func receiveNow(on socket: Int32) throws -> String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = bytes.withUnsafeMutableBytes { buffer in
        buffer.baseAddress.map { linux_receive(socket, $0, buffer.count) } ?? 0
    }
    guard count >= 0 else {
        throw SystemError(call: "recv", errno: Errno(rawValue: Int32(-count)), subject: "test")
    }
    return String(decoding: bytes[..<count], as: UTF8.self)
}

/// The connection that waits at a listening socket, within ten seconds.
func accepted(_ listener: Int32) throws -> OwnedDescriptor {
    _ = try ready(listener, for: [.readable])
    if let connection = try TCPConnection.accept(listener) { return connection }
    throw SystemError(call: "accept4", errno: .again, subject: "nobody waits")
}
