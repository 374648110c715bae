import Testing

@testable import CausewayCore

/// What we send, against bytes written from the diagrams of RFC 7143 §11.
@Suite struct RequestPDUTests {
    @Test func scsiCommand() {
        let pdu = SCSICommand(
            flags: [.final, .write], attribute: .ordered, priority: 5, lun: 0x0001_0203_0405_0607,
            initiatorTaskTag: 0x1122_3344, expectedDataTransferLength: 0x0002_0000, cmdSN: CmdSN(0x0a0b_0c0d),
            expStatSN: StatSN(0xf1f2_f3f4), cdb: (0x8a08_0000, 0x0000_0000, 0x0000_1000, 0x0000_0100 << 8),
            immediateDataLength: 0x2000)
        let golden = bytes(
            """
            01 a2 50 00              // opcode, F W ATTR=2, PRI=5
            00 002000                // TotalAHSLength, DataSegmentLength
            00010203 04050607        // LUN
            11223344                 // Initiator Task Tag
            00020000                 // Expected Data Transfer Length
            0a0b0c0d f1f2f3f4        // CmdSN, ExpStatSN
            8a080000 00000000 00001000 00010000 // CDB
            """)
        #expect(wire(pdu.header) == golden)
        #expect(pdu.flags == [.final, .write])
        #expect(pdu.lun == 0x0001_0203_0405_0607)
        #expect(pdu.initiatorTaskTag == 0x1122_3344)
        #expect(pdu.expectedDataTransferLength == 0x0002_0000)
        #expect(pdu.cmdSN == CmdSN(0x0a0b_0c0d))
        #expect(pdu.expStatSN == StatSN(0xf1f2_f3f4))
        #expect(pdu.dataSegmentLength == 0x2000)
        #expect(pdu.cdb == (0x8a08_0000, 0, 0x1000, 0x1_0000))
        #expect(!pdu.header.isImmediate && pdu.header.isFinal)
    }

    @Test func immediateReadCommand() {
        let pdu = SCSICommand(
            flags: [.final, .read], immediate: true, lun: 0, initiatorTaskTag: 1,
            expectedDataTransferLength: 8, cmdSN: CmdSN(2), expStatSN: StatSN(3),
            cdb: (0x2500_0000, 0, 0, 0))
        #expect(Array(wire(pdu.header)[0..<4]) == [0x41, 0xc1, 0, 0])
    }

    @Test func taskManagementRequest() {
        let pdu = TaskManagementRequest(
            function: .abortTask, lun: 0x0001_0000_0000_0000, initiatorTaskTag: 7, referencedTaskTag: 0x55,
            cmdSN: CmdSN(9), expStatSN: StatSN(10), refCmdSN: CmdSN(8), expDataSN: 3)
        let golden = bytes(
            """
            42 81 0000 00000000      // I, opcode, function 1
            00010000 00000000        // LUN
            00000007 00000055        // Initiator Task Tag, Referenced Task Tag
            00000009 0000000a        // CmdSN, ExpStatSN
            00000008 00000003        // RefCmdSN, ExpDataSN
            00000000 00000000
            """)
        #expect(wire(pdu.header) == golden)
        #expect(pdu.function == .abortTask && pdu.referencedTaskTag == 0x55)
        #expect(pdu.refCmdSN == CmdSN(8) && pdu.expDataSN == 3 && pdu.cmdSN == CmdSN(9))
        for function in TaskManagementRequest.Function.allCases {
            let pdu = TaskManagementRequest(
                function: function, initiatorTaskTag: 1, cmdSN: CmdSN(1), expStatSN: StatSN(1))
            #expect(pdu.function == function)
            #expect(!function.description.isEmpty)
            #expect(pdu.referencedTaskTag == reservedTag)
        }
    }

    @Test func scsiDataOut() {
        let pdu = SCSIDataOut(
            isFinal: true, lun: 0x0102_0304_0506_0708, initiatorTaskTag: 0xa1, targetTransferTag: 0xb2,
            expStatSN: StatSN(0xc3), dataSN: 0xd4, bufferOffset: 0x0001_0000, dataSegmentLength: 0xff_fffe)
        let golden = bytes(
            """
            05 80 0000 00 fffffe     // opcode, F; DataSegmentLength
            01020304 05060708        // LUN
            000000a1 000000b2        // Initiator Task Tag, Target Transfer Tag
            00000000 000000c3        // reserved, ExpStatSN
            00000000 000000d4        // reserved, DataSN
            00010000 00000000        // Buffer Offset, reserved
            """)
        #expect(wire(pdu.header) == golden)
        #expect(pdu.bufferOffset == 0x1_0000 && pdu.dataSN == 0xd4 && pdu.targetTransferTag == 0xb2)
        #expect(pdu.header.paddedDataSegmentLength == 0x100_0000)
        let more = SCSIDataOut(
            isFinal: false, lun: 0, initiatorTaskTag: 1, targetTransferTag: reservedTag, expStatSN: StatSN(0),
            dataSN: 0, bufferOffset: 0, dataSegmentLength: 4)
        #expect(!more.header.isFinal)
        #expect(Array(wire(more.header)[20..<24]) == [0xff, 0xff, 0xff, 0xff])
    }

    @Test func textRequest() {
        let pdu = TextRequest(
            isFinal: true, immediate: true, lun: 1, initiatorTaskTag: 2, targetTransferTag: 3,
            cmdSN: CmdSN(4),
            expStatSN: StatSN(5), dataSegmentLength: 16)
        let golden = bytes(
            """
            44 80 0000 00000010      // I, opcode, F; DataSegmentLength
            00000000 00000001        // LUN
            00000002 00000003        // Initiator Task Tag, Target Transfer Tag
            00000004 00000005        // CmdSN, ExpStatSN
            00000000 00000000 00000000 00000000
            """)
        #expect(wire(pdu.header) == golden)
        let more = TextRequest(
            isFinal: false, isContinued: true, initiatorTaskTag: 2, cmdSN: CmdSN(4), expStatSN: StatSN(5),
            dataSegmentLength: 0)
        #expect(wire(more.header)[1] == 0x40 && more.isContinued && !more.isFinal)
    }

    @Test func loginRequest() {
        let pdu = LoginRequest(
            currentStage: .loginOperationalNegotiation, nextStage: .fullFeaturePhase,
            isid: InitiatorSessionID(value: 0x80aa_bbcc_0102), tsih: 0x0304, initiatorTaskTag: 0x1234_5678,
            cid: 0x0506, cmdSN: CmdSN(0x11), expStatSN: StatSN(0x22), dataSegmentLength: 0x123)
        let golden = bytes(
            """
            43 87 00 00              // I, opcode; T CSG=1 NSG=3; Version-max, Version-min
            00 000123                // DataSegmentLength
            80aabbcc0102 0304        // ISID, TSIH
            12345678                 // Initiator Task Tag
            0506 0000                // CID
            00000011 00000022        // CmdSN, ExpStatSN
            00000000 00000000 00000000 00000000
            """)
        #expect(wire(pdu.header) == golden)
        #expect(pdu.isTransit && !pdu.isContinued)
        #expect(pdu.currentStage == .loginOperationalNegotiation && pdu.nextStage == .fullFeaturePhase)
        #expect(pdu.isid.description == "80:aa:bb:cc:01:02" && pdu.tsih == 0x0304 && pdu.cid == 0x0506)
        let more = LoginRequest(
            currentStage: .securityNegotiation, nextStage: nil, isContinued: true,
            isid: InitiatorSessionID(value: 0), tsih: 0, initiatorTaskTag: 0, cid: 0, cmdSN: CmdSN(0),
            expStatSN: StatSN(0), dataSegmentLength: 0)
        #expect(wire(more.header)[1] == 0x40)
    }

    @Test func logoutRequest() {
        let pdu = LogoutRequest(
            reason: .removeConnectionForRecovery, initiatorTaskTag: 1, cid: 0x0203, cmdSN: CmdSN(4),
            expStatSN: StatSN(5))
        let golden = bytes(
            """
            46 82 0000 00000000      // I, opcode, reason 2
            00000000 00000000
            00000001 02030000        // Initiator Task Tag, CID
            00000004 00000005        // CmdSN, ExpStatSN
            00000000 00000000 00000000 00000000
            """)
        #expect(wire(pdu.header) == golden)
        #expect(pdu.reason == .removeConnectionForRecovery && pdu.cid == 0x0203)
        #expect(LogoutRequest.Reason.closeSession.description == "close the session")
    }

    @Test func nopOut() {
        let pdu = NOPOut(
            immediate: false, lun: 0, initiatorTaskTag: 9, cmdSN: CmdSN(1), expStatSN: StatSN(2),
            dataSegmentLength: 5)
        let golden = bytes(
            """
            00 80 0000 00000005      // opcode, bit 0 of byte 1; DataSegmentLength
            00000000 00000000
            00000009 ffffffff        // Initiator Task Tag, Target Transfer Tag
            00000001 00000002        // CmdSN, ExpStatSN
            00000000 00000000 00000000 00000000
            """)
        #expect(wire(pdu.header) == golden)
    }

    @Test func nopOutAnswersPing() throws {
        let ping = NOPIn(
            header(
                """
                20 80 0000 00000000
                00010000 00000000        // LUN
                ffffffff 000000aa        // Initiator Task Tag, Target Transfer Tag
                00000007 00000001 00000020 // StatSN, ExpCmdSN, MaxCmdSN
                00000000 00000000 00000000
                """))
        let answer = try #require(NOPOut(answering: ping, cmdSN: CmdSN(3), expStatSN: StatSN(7)))
        #expect(answer.header.isImmediate)
        #expect(answer.lun == 0x0001_0000_0000_0000)
        #expect(answer.initiatorTaskTag == reservedTag && answer.targetTransferTag == 0xaa)
        #expect(answer.cmdSN == CmdSN(3) && answer.expStatSN == StatSN(7))
    }

    @Test func snack() {
        let pdu = SNACKRequest(
            kind: .dataAck, lun: 1, initiatorTaskTag: reservedTag, targetTransferTag: 2, expStatSN: StatSN(3),
            begRun: 4, runLength: 0)
        let golden = bytes(
            """
            10 82 0000 00000000      // opcode, type 2
            00000000 00000001        // LUN
            ffffffff 00000002        // Initiator Task Tag, Target Transfer Tag
            00000000 00000003        // reserved, ExpStatSN
            00000000 00000000
            00000004 00000000        // BegRun, RunLength
            """)
        #expect(wire(pdu.header) == golden)
    }

    @Test func isidFromHash() {
        let a = InitiatorSessionID(hash: 0x0123_4567_89ab_cdef)
        #expect(a == InitiatorSessionID(hash: 0x0123_4567_89ab_cdef))
        #expect(a != InitiatorSessionID(hash: 0x1123_4567_89ab_cdef), "the top bits of the hash count")
        // T = 10b, the rest of byte 8 reserved.
        #expect(a.value >> 40 == 0x80)
        #expect(InitiatorSessionID(hash: .max).value >> 40 == 0x80)
        #expect(InitiatorSessionID(value: .max).value == 0xffff_ffff_ffff)
        #expect(InitiatorSessionID(value: 0x8000_0000_0a0b).description == "80:00:00:00:0a:0b")
    }
}
