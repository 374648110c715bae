import Testing

@testable import NBDDevice

@Suite struct NBDCallMessageTests {
    static let connect = NBDCall.connect(
        ConnectRequest(
            index: 7, sizeBytes: 0x1_0000_0000, blockSizeBytes: 4096, timeoutSeconds: 0,
            deadConnectionTimeoutSeconds: 86400, serverFlags: [.hasFlags, .sendFlush, .sendFUA, .sendTrim],
            clientFlags: .destroyOnDisconnect, backendIdentifier: "causeway:a", sockets: [4, 5]))
    static let tuned = QueueSettings(
        ioTimeoutMilliseconds: 5000, maxSectorsKilobytes: nil, readAheadKilobytes: 128, rotational: false,
        scheduler: "none")

    static let calls: [NBDCall] = [
        connect,
        .connect(
            ConnectRequest(
                sizeBytes: 512, blockSizeBytes: 512, deadConnectionTimeoutSeconds: 1, serverFlags: [],
                clientFlags: [], backendIdentifier: "b", sockets: [4])),
        .reconnect(ReconnectRequest(index: 3, backendIdentifier: "causeway:b", sockets: [4])),
        .resize(ResizeRequest(index: 3, backendIdentifier: "causeway:b", sizeBytes: 1 << 40)),
        .disconnect(index: 9),
        .status,
        .tune(index: 2, tuned),
        .tune(index: 2, QueueSettings()),
        .detach(index: 11),
    ]

    static let answers: [NBDAnswer] = [
        NBDAnswer(.success(.connected(index: 16))),
        NBDAnswer(.success(.done)),
        NBDAnswer(.success(.devices([]))),
        NBDAnswer(
            .success(
                .devices([
                    DeviceStatus(index: 0, connected: true), DeviceStatus(index: 70000, connected: false),
                ]))),
        NBDAnswer(.success(.tuned(tuned))),
        NBDAnswer(.failure(.moduleAbsent(detail: "modprobe: FATAL: Module nbd not found"))),
        NBDAnswer(.failure(.familyHidden)),
        NBDAnswer(.failure(.refused(.connect, index: nil, errno: 1))),
        NBDAnswer(.failure(.refused(.resize, index: 4, errno: 22))),
        NBDAnswer(.failure(.system(call: "open", subject: "/dev/nbd1", errno: 13))),
        NBDAnswer(.failure(.invalid(.connect, reason: "a size of 0 bytes"))),
        NBDAnswer(.failure(.inUse(index: 5))),
        NBDAnswer(.failure(.noDevice(index: 6))),
        NBDAnswer(.failure(.unexpected(path: "/sys/block/nbd0/size", content: "größer"))),
        NBDAnswer(.failure(.replyWithoutIndex)),
    ]

    @Test func connectByHand() {
        let bytes: [UInt8] = [
            0x4e, 0x42, 0x44, 0x43,  // "NBDC"
            0x01,  // version
            0x01,  // connect
            0x01, 0x00, 0x00, 0x00, 0x07,  // index present, 7
            0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,  // size in bytes
            0x00, 0x00, 0x10, 0x00,  // block size
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // time-out: none
            0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x51, 0x80,  // dead connection time-out: a day
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2d,  // flags, flush, FUA, trim
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,  // destroy on disconnect
            0x00, 0x0a, 0x63, 0x61, 0x75, 0x73, 0x65, 0x77, 0x61, 0x79, 0x3a, 0x61,  // "causeway:a"
            0x02,  // two sockets
        ]
        #expect(Self.connect.encoded() == bytes)
    }

    @Test func answersByHand() {
        #expect(
            NBDAnswer(.success(.connected(index: 16))).encoded() == [
                0x4e, 0x42, 0x44, 0x41,  // "NBDA"
                0x01,  // version
                0x01,  // connected
                0x00, 0x00, 0x00, 0x10,  // index
            ])
        #expect(
            NBDAnswer(.failure(.refused(.resize, index: 4, errno: 22))).encoded() == [
                0x4e, 0x42, 0x44, 0x41,  // "NBDA"
                0x01,  // version
                0x83,  // refused
                0x03,  // resize
                0x01, 0x00, 0x00, 0x00, 0x04,  // index present
                0x00, 0x00, 0x00, 0x16,  // EINVAL
            ])
    }

    @Test(arguments: calls) func callComesBack(_ call: NBDCall) throws {
        #expect(try NBDCall(decoding: call.encoded(), firstSocket: 4) == call)
    }

    @Test(arguments: answers) func answerComesBack(_ answer: NBDAnswer) throws {
        #expect(try NBDAnswer(decoding: answer.encoded()) == answer)
    }

    @Test func socketsAreNumberedWhereTheyAreInherited() throws {
        let sent = NBDCall.reconnect(
            ReconnectRequest(index: 1, backendIdentifier: "x", sockets: [90, 17, 33]))
        let seen = try NBDCall(decoding: sent.encoded(), firstSocket: 4)
        #expect(seen.sockets == [4, 5, 6])
    }

    @Test(arguments: calls) func everyTruncationIsRefused(_ call: NBDCall) {
        let bytes = call.encoded()
        for count in 0..<bytes.count {
            #expect(throws: MalformedMessage.self) {
                try NBDCall(decoding: Array(bytes.prefix(count)), firstSocket: 4)
            }
        }
        #expect(throws: MalformedMessage.self) { try NBDCall(decoding: bytes + [0], firstSocket: 4) }
    }

    @Test(arguments: answers) func everyTruncatedAnswerIsRefused(_ answer: NBDAnswer) {
        let bytes = answer.encoded()
        for count in 0..<bytes.count {
            #expect(throws: MalformedMessage.self) { try NBDAnswer(decoding: Array(bytes.prefix(count))) }
        }
    }

    @Test(arguments: calls) func noByteOfACallCanTrap(_ call: NBDCall) {
        let bytes = call.encoded()
        for position in bytes.indices {
            for value: UInt8 in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                var changed = bytes
                changed[position] = value
                _ = try? NBDCall(decoding: changed, firstSocket: 4)
                _ = try? NBDAnswer(decoding: changed)
            }
        }
    }
}
