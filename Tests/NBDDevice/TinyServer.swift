import CNetlink
import Glibc
import Synchronization

@testable import NBDDevice

/// What a server serves: memory that is zero until it is written.
final class MemoryDisk: @unchecked Sendable {
    static let byteCount = 128 << 20
    let bytes = UnsafeMutableRawBufferPointer(start: calloc(1, byteCount), count: byteCount)
    deinit { free(bytes.baseAddress) }
}

/// The smallest NBD server, on a thread of its own.
final class TinyServer: Sendable {
    struct Counts {
        var reads = 0
        var writes = 0
        var flushes = 0
        var disconnects = 0
        var hungUp = false
        /// Requests that were read and not answered.
        var held = 0
    }
    private let counted = Mutex(Counts())
    private let descriptor: Int32
    private let disk: MemoryDisk
    private let holding = Atomic(false)
    nonisolated(unsafe) private var thread = pthread_t()

    /// Owns `descriptor`.
    init(on descriptor: Int32, serving disk: MemoryDisk = MemoryDisk()) {
        self.descriptor = descriptor
        self.disk = disk
        let me = Unmanaged.passRetained(self)
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<TinyServer>.fromOpaque(argument).takeRetainedValue().serve()
                return nil
            }, me.toOpaque())
    }

    /// From now on reads requests and answers none.
    func hold() { holding.store(true, ordering: .sequentiallyConsistent) }

    var counts: Counts { counted.withLock { $0 } }

    /// Hangs up, as a daemon that dies does, and waits for the thread.
    func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        pthread_join(thread, nil)
        close(descriptor)
    }

    private func take(_ bytes: inout [UInt8], _ count: Int) -> Bool {
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes {
                read(descriptor, $0.baseAddress?.advanced(by: done), count - done)
            }
            if got <= 0 { return false }
            done += got
        }
        return true
    }

    private func give(_ bytes: [UInt8]) {
        var done = 0
        while done < bytes.count {
            let sent = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress?.advanced(by: done), bytes.count - done, Int32(MSG_NOSIGNAL))
            }
            if sent <= 0 { return }
            done += sent
        }
    }

    private func serve() {
        var header = [UInt8](repeating: 0, count: 28)
        var payload = [UInt8](repeating: 0, count: 32 << 20)
        while take(&header, 28) {
            let type = Int(header[6]) << 8 | Int(header[7])
            let offset = header[16..<24].reduce(0) { $0 << 8 | Int($1) }
            let length = header[24..<28].reduce(0) { $0 << 8 | Int($1) }
            var reply: [UInt8] = [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0] + header[8..<16]
            switch type {
            case 0:
                reply += disk.bytes[offset..<offset + length]
                counted.withLock { $0.reads += 1 }
            case 1:
                guard take(&payload, length) else { break }
                disk.bytes.baseAddress?.advanced(by: offset).copyMemory(from: payload, byteCount: length)
                counted.withLock { $0.writes += 1 }
            case 2:
                counted.withLock { $0.disconnects += 1 }
                continue
            default:
                counted.withLock { $0.flushes += type == 3 ? 1 : 0 }
            }
            if holding.load(ordering: .sequentiallyConsistent) {
                counted.withLock { $0.held += 1 }
            } else {
                give(reply)
            }
        }
        counted.withLock { $0.hungUp = true }
    }
}
