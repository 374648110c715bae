import Testing

@testable import CausewayCore

@Suite struct NBDReplyTests {
    let cookie = NBDBytes.cookie([0xc0, 0xff, 0xee, 0, 0, 0, 0, 0x68])

    @Test func simpleReply() {
        #expect(
            NBDBytes.written {
                SimpleReply.write(cookie: cookie, to: $0)
                return SimpleReply.byteCount
            }
                == NBDBytes.parse(
                    "67446698",  // NBD_SIMPLE_REPLY_MAGIC
                    "00000000",  // no error
                    "c0ffee0000000068"))  // cookie
        #expect(
            NBDBytes.written {
                SimpleReply.write(error: .noSpace, cookie: cookie, to: $0)
                return SimpleReply.byteCount
            } == NBDBytes.parse("67446698", "0000001c", "c0ffee0000000068"))
    }

    @Test func offsetData() {
        #expect(
            NBDBytes.written {
                ReplyChunk.writeOffsetData(offset: 0x1_0000_0200, dataByteCount: 4096, cookie: cookie, to: $0)
                return ReplyChunk.offsetDataByteCount
            }
                == NBDBytes.parse(
                    "668e33ef",  // NBD_STRUCTURED_REPLY_MAGIC
                    "0001",  // flags: DONE
                    "0001",  // type: OFFSET_DATA
                    "c0ffee0000000068",  // cookie
                    "00001008",  // payload: 8 + 4096 bytes
                    "0000000100000200"))  // offset
    }

    @Test func aChunkThatIsNotTheLastHasNoDoneFlag() {
        #expect(
            NBDBytes.written {
                ReplyChunk.writeOffsetData(
                    offset: 0, dataByteCount: 512, isLast: false, cookie: cookie, to: $0)
                return ReplyChunk.offsetDataByteCount
            }
                == NBDBytes.parse(
                    "668e33ef", "0000", "0001", "c0ffee0000000068", "00000208", "0000000000000000"))
    }

    @Test func offsetHole() {
        #expect(
            NBDBytes.written {
                ReplyChunk.writeOffsetHole(offset: 0x4000, holeByteCount: 0x8000, cookie: cookie, to: $0)
                return ReplyChunk.offsetHoleByteCount
            }
                == NBDBytes.parse(
                    "668e33ef", "0001",
                    "0002",  // type: OFFSET_HOLE
                    "c0ffee0000000068",
                    "0000000c",  // payload: 12 bytes
                    "0000000000004000",  // offset
                    "00008000"))  // hole size
    }

    @Test func none() {
        #expect(
            NBDBytes.written {
                ReplyChunk.writeNone(cookie: cookie, to: $0)
                return ReplyChunk.headerByteCount
            }
                == NBDBytes.parse(
                    "668e33ef", "0001",
                    "0000",  // type: NONE
                    "c0ffee0000000068",
                    "00000000"))  // no payload
    }

    @Test func error() {
        #expect(
            NBDBytes.written {
                ReplyChunk.writeError(.invalidArgument, message: "misaligned", cookie: cookie, to: $0)
            }
                == NBDBytes.parse(
                    "668e33ef", "0001",
                    "8001",  // type: ERROR
                    "c0ffee0000000068",
                    "00000010",  // payload: 16 bytes
                    "00000016",  // EINVAL
                    "000a",  // message length
                    "'misaligned'"))
        #expect(
            NBDBytes.written { ReplyChunk.writeError(.inputOutput, message: "", cookie: cookie, to: $0) }
                == NBDBytes.parse(
                    "668e33ef", "0001", "8001", "c0ffee0000000068", "00000006", "00000005", "0000"))
    }

    @Test func aLongMessageIsCutBetweenCharacters() {
        // 255 bytes, then a character of three.
        let message = Array((String(repeating: "x", count: 255) + "€ and more").utf8)
        let chunk = NBDBytes.written { bytes in
            message.withUnsafeBytes {
                ReplyChunk.writeError(.inputOutput, message: $0, cookie: cookie, to: bytes)
            }
        }
        #expect(chunk.count == ReplyChunk.headerByteCount + 6 + 255)
        #expect(chunk[16..<20] == [0, 0, 1, 5][...])
        #expect(chunk[24..<26] == [0, 255][...])

        let fitting = [UInt8](repeating: 0x78, count: 300)
        #expect(
            NBDBytes.written { bytes in
                fitting.withUnsafeBytes {
                    ReplyChunk.writeError(.inputOutput, message: $0, cookie: cookie, to: bytes)
                }
            }.count == ReplyChunk.errorByteCountMax)
    }

    @Test func aMessageOfContinuationBytesIsDropped() {
        let message = [UInt8](repeating: 0x80, count: 300)
        #expect(
            NBDBytes.written { bytes in
                message.withUnsafeBytes {
                    ReplyChunk.writeError(.inputOutput, message: $0, cookie: cookie, to: bytes)
                }
            }.count == ReplyChunk.headerByteCount + 6)
    }
}

@Suite struct BlockStatusTests {
    let request = NBDRequest(
        .blockStatus, cookie: NBDBytes.cookie([1, 2, 3, 4, 5, 6, 7, 8]), offset: 0x10000, length: 0x8000)

    func answer(_ extents: [BlockStatusExtent], to request: NBDRequest) -> [UInt8] {
        NBDBytes.written { ReplyChunk.writeBlockStatus(extents.span, answering: request, to: $0) }
    }

    @Test func oneDescriptorForEachExtent() {
        let chunk = answer(
            [
                BlockStatusExtent(length: 0x1000, flags: []),
                BlockStatusExtent(length: 0x3000, flags: [.hole, .zero]),
                BlockStatusExtent(length: 0x4000, flags: .hole),
            ], to: request)
        #expect(
            chunk
                == NBDBytes.parse(
                    "668e33ef",  // NBD_STRUCTURED_REPLY_MAGIC
                    "0001",  // flags: DONE
                    "0005",  // type: BLOCK_STATUS
                    "0102030405060708",  // cookie
                    "0000001c",  // payload: 4 + 3 x 8 bytes
                    "00000001",  // metadata context
                    "00001000 00000000",  // allocated
                    "00003000 00000003",  // HOLE, ZERO
                    "00004000 00000001"))  // HOLE
        #expect(chunk.count == ReplyChunk.blockStatusByteCount(extentCount: 3))
    }

    @Test func neighboursOfOneStateAreOneExtent() {
        #expect(
            answer(
                [
                    BlockStatusExtent(length: 0x1000, flags: []),
                    BlockStatusExtent(length: 0x0, flags: .hole),
                    BlockStatusExtent(length: 0x1000, flags: []),
                    BlockStatusExtent(length: 0x6000, flags: .zero),
                ], to: request)
                == NBDBytes.parse(
                    "668e33ef 0001 0005 0102030405060708 00000014 00000001", "00002000 00000000",
                    "00006000 00000002"))
    }

    @Test func nothingIsReportedPastTheRequest() {
        #expect(
            answer(
                [
                    BlockStatusExtent(length: 0x7000, flags: []),
                    BlockStatusExtent(length: .max, flags: .hole),
                    BlockStatusExtent(length: .max, flags: []),
                ], to: request)
                == NBDBytes.parse(
                    "668e33ef 0001 0005 0102030405060708 00000014 00000001", "00007000 00000000",
                    "00001000 00000001"))
    }

    @Test func whoAsksForOneExtentGetsOne() {
        var request = request
        request.flags = .requestOne
        #expect(
            answer(
                [
                    BlockStatusExtent(length: 0x1000, flags: .hole),
                    BlockStatusExtent(length: 0x1000, flags: .hole),
                    BlockStatusExtent(length: 0x1000, flags: []),
                ], to: request)
                == NBDBytes.parse(
                    "668e33ef 0001 0005 0102030405060708 0000000c 00000001", "00002000 00000001"))
    }

    @Test func withoutKnowledgeAllIsAllocated() {
        #expect(
            answer([], to: request)
                == NBDBytes.parse(
                    "668e33ef 0001 0005 0102030405060708 0000000c 00000001", "00008000 00000000"))
    }
}
