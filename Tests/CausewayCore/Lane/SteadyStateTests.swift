// Unoptimised code allocates where optimised code does not, so this counts in release builds only.
#if !DEBUG
    import MallocCounter
    import Testing

    @testable import CausewayCore

    /// In steady state a lane allocates nothing: shown by counting, call by call, with a target and a client
    /// that allocate nothing themselves.
    @Suite(.enabled(if: mc_is_counting(), "another allocator is in the way"))
    struct SteadyStateTests {
        @Test(arguments: [4096, 131_072])
        func readsAndWritesAllocateNothing(bytes: Int) throws {
            let rig = try LaneRig(requestBytes: bytes)
            try rig.becomeReady()
            // The first round takes pages, chunks and metadata into use.
            for _ in 0..<50 { rig.exchangeRound() }
            #expect(rig.failure == nil)
            let answeredBefore = rig.answered
            let before = mc_mallocs()
            var round = 0
            while round < 500 {
                rig.exchangeRound()
                round += 1
            }
            let after = mc_mallocs()
            #expect(rig.failure == nil)
            #expect(rig.answered == answeredBefore + 500 * 2 * LaneRig.depth)
            #expect(after == before, "\(after - before) allocations in 500 rounds")
        }
    }

    /// A lane between a client that reads and writes at a depth of eight and a target that answers at once.
    /// Both live in memory taken beforehand.
    final class LaneRig {
        static let depth = 8
        private var lane: Lane
        private let requestBytes: Int
        private var disk = DiskID(rawValue: -1)
        private var target = StreamID(index: -1, generation: 0)
        private var client = StreamID(index: -1, generation: 0)
        private var isReady = false
        private(set) var failure: String?
        private(set) var answered = 0

        /// What the lane has sent to the target and to the client, and what the target answers.
        private let toTarget = ByteQueue(capacity: 8 << 20)
        private let toClient = ByteQueue(capacity: 8 << 20)
        private let fromTarget = ByteQueue(capacity: 8 << 20)
        private let fromClient = ByteQueue(capacity: 8 << 20)
        private let vectors = UnsafeMutablePointer<IOVector>.allocate(capacity: 256)
        private var statSN: UInt32 = 1
        private var expCmdSN: UInt32 = 1
        private var logins = 0

        init(requestBytes: Int) throws {
            self.requestBytes = requestBytes
            var settings = LaneSettings()
            settings.chunkCount = 32
            lane = Lane(settings: settings)
        }

        deinit { vectors.deallocate() }

        private var now: Instant { Instant(nanoseconds: 1_000_000) }

        // MARK: Until the disk is ready

        func becomeReady() throws {
            let path = PathSpecification(
                route: RouteID(rawValue: 1), interface: "eth1", sourceAddress: "10.0.1.2",
                portal: "10.0.1.1:3260",
                isid: InitiatorSessionID(hash: 1))
            disk = try lane.attach(
                DiskSpecification(
                    name: "d", target: try ISCSIName("iqn.2026-01.t:t"),
                    initiatorName: try ISCSIName("iqn.2026-01.t:i"),
                    lun: try #require(LogicalUnitNumber(1)), paths: [path]), now: now)
            lane.tick(now: now)
            for _ in 0..<100 where !isReady {
                while let effect = lane.takeEffect() {
                    switch effect {
                    case .connect(let id, _, _):
                        target = id
                        lane.connected(id, now: now)
                    case .notice(.ready): isReady = true
                    case .notice, .close, .abort, .inspect, .connectElsewhere: break
                    }
                }
                send()
                answerControl()
                deliver(fromTarget, target)
            }
            #expect(isReady)
            let added = lane.addClient(disk, negotiates: false, now: now)
            client = try #require(added)
        }

        /// Logins and the probe's questions.
        private func answerControl() {
            while toTarget.count >= 48 {
                let header = BasicHeaderSegment(copyingFrom: toTarget.front)
                let total = 48 + header.paddedDataSegmentLength
                guard toTarget.count >= total else { return }
                toTarget.drop(total)
                switch header.opcode {
                case .loginRequest: answerLogin(header)
                case .scsiCommand: answerQuestion(SCSICommand(rebuilding: header))
                default: failure = "opcode \(header.opcode.rawValue)"
                }
            }
        }

        private func answerLogin(_ header: BasicHeaderSegment) {
            logins += 1
            var response = BasicHeaderSegment(opcode: .loginResponse)
            let isLast = logins == 2
            response[byte: 1] = isLast ? 0x87 : 0x81
            response[2] = header[2]
            response[3] = header[3] & 0xffff_0000 | (isLast ? 1 : 0)
            response[4] = header[4]
            response[6] = statSN
            response[7] = expCmdSN
            response[8] = expCmdSN + 63
            statSN += 1
            let text =
                isLast
                ? "MaxRecvDataSegmentLength=262144\0InitialR2T=Yes\0"
                    + "ImmediateData=Yes\0FirstBurstLength=65536\0"
                    + "MaxBurstLength=262144\0MaxOutstandingR2T=1\0ErrorRecoveryLevel=0\0"
                : "AuthMethod=None\0TargetPortalGroupTag=1\0"
            put(&response, Array(text.utf8))
        }

        private func answerQuestion(_ command: SCSICommand) {
            expCmdSN += 1
            let cdb = command.cdb
            var data = [UInt8](repeating: 0, count: 64)
            switch (cdb.0 >> 24, cdb.0 >> 16 & 1, cdb.0 >> 8 & 0xff) {
            case (0x12, 0, _):
                data[2] = 6
                data[4] = 31
                data.replaceSubrange(8..<16, with: Array("CAUSEWAY".utf8))
            case (0x12, 1, 0x00): data = [0, 0, 0, 2, 0x00, 0x83]
            case (0x12, 1, 0x83):
                // Binary, NAA, of the logical unit: 16 bytes.
                data = [0, 0x83, 0, 20, 1, 3, 0, 16, 0x60, 1, 4, 5, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
            case (0x9e, _, _):
                // READ CAPACITY(16): 2^20 blocks of 512.
                data = [UInt8](repeating: 0, count: 32)
                data[5] = 0x0f
                data[6] = 0xff
                data[7] = 0xff
                data[10] = 2
            case (0x1a, _, _): data = [3, 0, 0x10, 0]
            // REPORT LUNS: LUN 1.
            case (0xa0, _, _): data = [0, 0, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
            case (0x00, _, _): data = []
            default: failure = "CDB \(cdb.0 >> 24)"
            }
            var response = BasicHeaderSegment(opcode: data.isEmpty ? .scsiResponse : .scsiDataIn)
            response[byte: 1] = data.isEmpty ? 0x80 : 0x81
            status(&response, command.initiatorTaskTag)
            put(&response, data)
        }

        private func put(_ header: inout BasicHeaderSegment, _ data: [UInt8]) {
            header.dataSegmentLength = data.count
            header.copy(to: fromTarget.back(48))
            var padded = data
            while padded.count & 3 != 0 { padded.append(0) }
            padded.withUnsafeBytes { bytes in
                if let base = bytes.baseAddress {
                    fromTarget.back(bytes.count).copyMemory(from: base, byteCount: bytes.count)
                }
            }
        }

        // MARK: The steady state

        /// Eight reads and eight writes, all answered.
        func exchangeRound() {
            var index = 0
            while index < Self.depth {
                request(.read, UInt64(index))
                request(.write, UInt64(index + Self.depth))
                index += 1
            }
            let wanted = answered + 2 * Self.depth
            var turns = 0
            while answered < wanted && turns < 200 {
                deliver(fromClient, client)
                send()
                answerData()
                deliver(fromTarget, target)
                send()
                countReplies()
                turns += 1
            }
            if answered != wanted { failure = "a round was not answered" }
        }

        private func request(_ command: NBDCommand, _ number: UInt64) {
            NBDRequest(
                command, cookie: number, offset: number * UInt64(requestBytes), length: UInt32(requestBytes)
            ).copy(to: fromClient.back(NBDRequest.byteCount))
            if command == .write { _ = fromClient.back(requestBytes) }
        }

        /// Answers READ with one Data-In and status, asks for what a WRITE did not bring along, answers it
        /// when all is here.
        private func answerData() {
            while toTarget.count >= 48 {
                let header = BasicHeaderSegment(copyingFrom: toTarget.front)
                let total = 48 + header.paddedDataSegmentLength
                guard toTarget.count >= total else { return }
                toTarget.drop(total)
                switch header.opcode {
                case .scsiCommand where SCSICommand(rebuilding: header).flags.contains(.read):
                    expCmdSN &+= 1
                    var response = BasicHeaderSegment(opcode: .scsiDataIn)
                    response[byte: 1] = 0x81
                    status(&response, header.initiatorTaskTag)
                    response.dataSegmentLength = requestBytes
                    response.copy(to: fromTarget.back(48))
                    _ = fromTarget.back(requestBytes)
                case .scsiCommand:
                    expCmdSN &+= 1
                    let rest = requestBytes - header.dataSegmentLength
                    if rest == 0 {
                        good(header.initiatorTaskTag)
                    } else {
                        var ready = BasicHeaderSegment(opcode: .readyToTransfer)
                        ready[byte: 1] = 0x80
                        ready[4] = header.initiatorTaskTag
                        ready[5] = 7
                        ready[6] = statSN
                        ready[7] = expCmdSN
                        ready[8] = expCmdSN &+ 63
                        ready[10] = UInt32(header.dataSegmentLength)
                        ready[11] = UInt32(rest)
                        ready.copy(to: fromTarget.back(48))
                    }
                case .scsiDataOut:
                    if header.isFinal { good(header.initiatorTaskTag) }
                default: failure = "an opcode that nobody asked for"
                }
            }
        }

        private func good(_ tag: UInt32) {
            var response = BasicHeaderSegment(opcode: .scsiResponse)
            response[byte: 1] = 0x80
            status(&response, tag)
            response.copy(to: fromTarget.back(48))
        }

        private func status(_ header: inout BasicHeaderSegment, _ tag: UInt32) {
            header[4] = tag
            header[6] = statSN
            header[7] = expCmdSN
            header[8] = expCmdSN &+ 63
            statSN &+= 1
        }

        private func countReplies() {
            while toClient.count >= SimpleReply.byteCount {
                let cookie = toClient.front.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                let total = SimpleReply.byteCount + (cookie < UInt64(Self.depth) ? requestBytes : 0)
                guard toClient.count >= total else { return }
                if toClient.front.loadUnaligned(fromByteOffset: 4, as: UInt32.self) != 0 {
                    failure = "an error reply"
                }
                toClient.drop(total)
                answered += 1
            }
        }

        // MARK: Bytes

        private func deliver(_ queue: ByteQueue, _ id: StreamID) {
            while queue.count > 0, let space = lane.receiveSpace(id) {
                let count = min(space.count, queue.count)
                space.base.copyMemory(from: queue.front, byteCount: count)
                queue.drop(count)
                lane.received(id, count: count, now: now)
            }
            lane.settle()
        }

        private func send() {
            while let id = lane.takeDirty() {
                let queue = id == target ? toTarget : toClient
                while true {
                    let batch = lane.sendVectors(id, into: vectors, capacity: 256)
                    if batch.count == 0 { break }
                    var index = 0
                    while index < batch.count {
                        if let base = vectors[index].base {
                            queue.back(vectors[index].count).copyMemory(
                                from: base, byteCount: vectors[index].count)
                        }
                        index += 1
                    }
                    if !lane.sent(id, count: batch.byteCount) { break }
                }
            }
        }
    }

    /// Bytes on their way, in memory taken once; it starts again at the front whenever it is empty.
    private final class ByteQueue {
        private let memory: UnsafeMutableRawPointer
        private let capacity: Int
        private var head = 0
        private var tail = 0

        init(capacity: Int) {
            self.capacity = capacity
            memory = .allocate(byteCount: capacity, alignment: 16)
            memory.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
        }

        deinit { memory.deallocate() }

        var count: Int { tail - head }
        var front: UnsafeRawPointer { UnsafeRawPointer(memory + head) }

        /// Room for `count` more bytes at the end.
        func back(_ count: Int) -> UnsafeMutableRawPointer {
            precondition(tail + count <= capacity)
            defer { tail += count }
            return memory + tail
        }

        func drop(_ count: Int) {
            head += count
            if head == tail {
                head = 0
                tail = 0
            }
        }
    }

    extension SCSICommand {
        /// As a target sees it.
        fileprivate init(rebuilding header: BasicHeaderSegment) {
            self.init(
                flags: .final, lun: header.lun, initiatorTaskTag: header.initiatorTaskTag,
                expectedDataTransferLength: header[5], cmdSN: CmdSN(header[6]), expStatSN: StatSN(header[7]),
                cdb: (header[8], header[9], header[10], header[11]))
            self.header = header
        }
    }
#endif
