import CLinux
import Glibc
import Testing

@testable import LinuxSystem

@Suite struct TCPConnectionTests {
    static func loopback(_ text: String) throws -> SocketAddress {
        try #require(SocketAddress(parsing: text, defaultPort: 0))
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func connectsAndTransfers(host: String) throws {
        let listener = try TCPConnection.listen(on: Self.loopback(host))
        let address = try #require(TCPConnection.localAddress(of: listener.rawValue))
        let route = Route(source: address.address, to: address)
        let near = try TCPConnection.connect(
            route,
            options: TCPOptions(
                userTimeoutMilliseconds: 4000, sendBufferByteCount: 1 << 20, receiveBufferByteCount: 1 << 20))
        #expect(try ready(near.rawValue, for: [.writable])?.isWritable == true)
        #expect(TCPConnection.takeError(of: near.rawValue) == nil)
        let far = try accepted(listener.rawValue)
        #expect(TCPConnection.peerAddress(of: near.rawValue) == address)
        #expect(TCPConnection.peerAddress(of: far.rawValue) == TCPConnection.localAddress(of: near.rawValue))
        #expect(TCPConnection.localAddress(of: near.rawValue)?.address == address.address)

        #expect(linux_get_option(near.rawValue, linux_option_no_delay) == 1)
        #expect(linux_get_option(near.rawValue, linux_option_user_timeout) == 4000)
        #expect(linux_get_option(near.rawValue, linux_option_bind_without_port) == 1)
        #expect(linux_get_option(near.rawValue, linux_option_send_buffer) > 0)
        #expect(fcntl(far.rawValue, F_GETFD) & FD_CLOEXEC != 0)
        #expect(fcntl(far.rawValue, F_GETFL) & O_NONBLOCK != 0)

        #expect(sendText("login", on: near.rawValue) == 5)
        #expect(try receiveText(on: far.rawValue) == "login")
        TCPConnection.acknowledgeQuickly(near.rawValue)
        #expect(sendText("answer", on: far.rawValue) == 6)
        #expect(try receiveText(on: near.rawValue) == "answer")

        let info = try TCPInfo(of: near.rawValue)
        #expect(info.isEstablished)
        #expect(info.rttMicroseconds > 0 && info.rttMicroseconds < 10_000_000)
        #expect(info.consecutiveTimeouts == 0)
        #expect(info.millisecondsSinceDataReceived < 10_000)
        #expect(info.pathMTU >= 1280)
        #expect(info.sendSegmentByteCount > 0)
    }

    @Test func gathersAndScatters() throws {
        let pair = try SocketPair()
        var header = Array("header".utf8)
        var data = Array("data".utf8)
        let sent = header.withUnsafeMutableBytes { header in
            data.withUnsafeMutableBytes { data in
                var pieces = [
                    iovec(iov_base: header.baseAddress, iov_len: header.count),
                    iovec(iov_base: data.baseAddress, iov_len: data.count),
                ]
                return linux_send_pieces(pair.kernelEnd.rawValue, &pieces, 2, false)
            }
        }
        #expect(sent == 10)
        var first = [UInt8](repeating: 0, count: 3)
        var rest = [UInt8](repeating: 0, count: 64)
        let received = first.withUnsafeMutableBytes { first in
            rest.withUnsafeMutableBytes { rest in
                var pieces = [
                    iovec(iov_base: first.baseAddress, iov_len: first.count),
                    iovec(iov_base: rest.baseAddress, iov_len: rest.count),
                ]
                return linux_receive_pieces(pair.laneEnd.rawValue, &pieces, 2)
            }
        }
        #expect(received == 10)
        #expect(first == Array("hea".utf8))
        #expect(rest[..<7].elementsEqual("derdata".utf8))
        #expect(throws: SystemError(call: "recv", errno: .again, subject: "test")) {
            try receiveNow(on: pair.laneEnd.rawValue)
        }
    }

    @Test func aRefusedConnectIsToldByTheSocket() throws {
        let address: SocketAddress
        do {
            // Closed again, so that the port is free and nobody listens.
            let listener = try TCPConnection.listen(on: Self.loopback("127.0.0.1"))
            address = try #require(TCPConnection.localAddress(of: listener.rawValue))
        }
        do {
            let near = try TCPConnection.connect(Route(to: address))
            let event = try #require(try ready(near.rawValue, for: .stream))
            #expect(event.isClosed)
            #expect(TCPConnection.takeError(of: near.rawValue) == .connectionRefused)
            #expect(TCPConnection.takeError(of: near.rawValue) == nil)
        } catch let error as SystemError {
            // Over loopback the answer may be there before connect returns.
            #expect(error.errno == .connectionRefused)
        }
    }

    @Test func acceptWithNobodyWaiting() throws {
        let listener = try TCPConnection.listen(on: Self.loopback("127.0.0.1"))
        if let someone = try TCPConnection.accept(listener.rawValue) {
            Issue.record("descriptor \(someone.rawValue)")
        }
    }

    @Test(arguments: ["no-such-if0", "", "a-name-of-more-than-fifteen-bytes", "lo\u{0}x"])
    func aMissingInterfaceIsNamed(interface: String) throws {
        let route = Route(interface: interface, to: try Self.loopback("127.0.0.1:1"))
        let error = #expect(throws: SystemError.self) { _ = try TCPConnection.connect(route).rawValue }
        #expect(error?.errno == .noSuchDevice)
        #expect(error?.subject == interface)
        #expect(error?.description.contains("ip link") == true)
    }

    @Test func aSourceThatTheMachineDoesNotHave() throws {
        // TEST-NET-1 (RFC 5737) is nobody's.
        let source = try #require(IPAddress(parsing: "192.0.2.77"))
        let route = Route(source: source, to: try Self.loopback("127.0.0.1:1"))
        let error = #expect(throws: SystemError.self) { _ = try TCPConnection.connect(route).rawValue }
        #expect(error?.errno == .addressNotAvailable)
        #expect(error?.call == "bind")
        #expect(error?.subject == "192.0.2.77")
    }

    @Test func tcpInfoOfSomethingElseIsAnError() throws {
        let pair = try SocketPair()
        #expect(throws: SystemError.self) { _ = try TCPInfo(of: pair.laneEnd.rawValue) }
    }

    /// Two links to one far machine; the far machine listens on all its addresses.
    @Test(.enabled(if: isRoot, needsRoot))
    func aBoundInterfaceIsTheOnlyWay() throws {
        struct Seen: Sendable {
            var peers: [String] = []
            var wrongWay: SystemError?
            var linkLocalPeer: String = ""
        }
        let seen = try inNewNetworkNamespace {
            let near = linux_thread_id()
            // The listening socket keeps the far namespace alive after its thread has ended.
            let listenerNumber = try inNewNetworkNamespace {
                for link in 1...2 {
                    try run("ip", "link", "add", "near\(link)", "type", "veth", "peer", "name", "far\(link)")
                    try run("ip", "link", "set", "near\(link)", "netns", "\(near)")
                    try run("ip", "address", "add", "10.0.\(link).2/24", "dev", "far\(link)")
                    try run("ip", "address", "add", "fe80::\(link):2/64", "dev", "far\(link)", "nodad")
                    try run("ip", "link", "set", "far\(link)", "up")
                }
                let any = try #require(SocketAddress(parsing: "[::]", defaultPort: 3260))
                return try TCPConnection.listen(on: any).release()
            }
            let listener = OwnedDescriptor(adopting: listenerNumber)
            for link in 1...2 {
                try run("ip", "address", "add", "10.0.\(link).1/24", "dev", "near\(link)")
                try run("ip", "address", "add", "fe80::\(link):1/64", "dev", "near\(link)", "nodad")
                try run("ip", "link", "set", "near\(link)", "up")
            }
            var seen = Seen()
            func connect(_ interface: String, _ source: String?, _ destination: String) throws -> String {
                let route = Route(
                    interface: interface, source: source.flatMap { IPAddress(parsing: $0) },
                    to: try #require(SocketAddress(parsing: destination, defaultPort: 3260)))
                let socket = try TCPConnection.connect(
                    route, options: TCPOptions(userTimeoutMilliseconds: 5000))
                _ = try ready(socket.rawValue, for: [.writable])
                if let error = TCPConnection.takeError(of: socket.rawValue) {
                    throw SystemError(call: "connect", errno: error, subject: "\(route)")
                }
                _ = try ready(listener.rawValue, for: [.readable])
                guard let far = try TCPConnection.accept(listener.rawValue) else { return "nobody" }
                return TCPConnection.peerAddress(of: far.rawValue)?.address.description ?? "nothing"
            }
            seen.peers.append(try connect("near1", "10.0.1.1", "10.0.1.2"))
            seen.peers.append(try connect("near2", nil, "10.0.2.2"))
            // The link-local address is meant on the bound interface, without anybody saying so.
            seen.linkLocalPeer = try connect("near2", "fe80::2:1", "fe80::2:2")
            // Left to itself the kernel would take near2, and the far side, which answers for all its
            // addresses on each of its links, would see 10.0.2.1.
            seen.peers.append(try connect("near1", nil, "10.0.2.2"))
            try run("ip", "link", "set", "near1", "down")
            do {
                _ = try connect("near1", nil, "10.0.2.2")
            } catch let error as SystemError {
                seen.wrongWay = error
            }
            return seen
        }
        #expect(seen.peers == ["::ffff:10.0.1.1", "::ffff:10.0.2.1", "::ffff:10.0.1.1"])
        #expect(seen.linkLocalPeer.hasPrefix("fe80::2:1%"))
        #expect(seen.wrongWay?.errno == .networkUnreachable)
        #expect(seen.wrongWay?.subject == "10.0.2.2:3260 on near1")
    }
}
