import Testing

@testable import CausewayCore

/// What the target sends, read from bytes written from the diagrams of RFC 7143 §11.
@Suite struct ResponsePDUTests {
    @Test func scsiResponse() {
        let pdu = SCSIResponse(
            header(
                """
                21 82 00 02              // opcode, U, Response, Status CHECK CONDITION
                00 000014                // DataSegmentLength
                c0de0000 00000000        // Status Qualifier
                00000abc 00000001        // Initiator Task Tag, SNACK Tag
                00000002 00000003 00000004 // StatSN, ExpCmdSN, MaxCmdSN
                00000005 00000006 00000007 // ExpDataSN, Bidirectional Read Residual Count, Residual Count
                """))
        #expect(pdu.flags == .residualUnderflow && pdu.flags.isConsistent)
        #expect(pdu.response == .commandCompletedAtTarget)
        #expect(pdu.status == 0x02 && pdu.dataSegmentLength == 20 && pdu.statusQualifier == 0xc0de)
        #expect(pdu.initiatorTaskTag == 0xabc && pdu.snackTag == 1)
        #expect(pdu.statSN == StatSN(2) && pdu.expCmdSN == CmdSN(3) && pdu.maxCmdSN == CmdSN(4))
        #expect(pdu.expDataSN == 5 && pdu.bidirectionalReadResidualCount == 6 && pdu.residualCount == 7)
    }

    @Test func scsiResponseFlags() {
        func flags(_ byte: UInt8) -> SCSIResponse.Flags {
            var header = BasicHeaderSegment(opcode: .scsiResponse)
            header[byte: 1] = byte
            return SCSIResponse(header).flags
        }
        #expect(flags(0x84) == .residualOverflow)
        #expect(flags(0x90) == .bidirectionalReadOverflow)
        #expect(flags(0x88) == .bidirectionalReadUnderflow)
        #expect(flags(0x81) == [], "F and the reserved bits are no flags")
        #expect(flags(0x8c).isConsistent)
        #expect(!flags(0x86).isConsistent && !flags(0x98).isConsistent)
    }

    @Test func scsiDataInWithStatus() {
        let pdu = SCSIDataIn(
            header(
                """
                25 c5 00 08              // opcode, F A O S, Status BUSY
                00 001000                // DataSegmentLength
                00010000 00000002        // LUN
                00000010 00000011        // Initiator Task Tag, Target Transfer Tag
                00000012 00000013 00000014 // StatSN, ExpCmdSN, MaxCmdSN
                00000015 00010000 00000017 // DataSN, Buffer Offset, Residual Count
                """))
        #expect(pdu.flags == [.final, .acknowledge, .residualOverflow, .status])
        #expect(pdu.flags.isConsistent && pdu.hasStatus && pdu.status == 8)
        #expect(pdu.dataSegmentLength == 4096 && pdu.lun == 0x0001_0000_0000_0002)
        #expect(pdu.initiatorTaskTag == 0x10 && pdu.targetTransferTag == 0x11)
        #expect(pdu.statSN == StatSN(0x12) && pdu.expCmdSN == CmdSN(0x13) && pdu.maxCmdSN == CmdSN(0x14))
        #expect(pdu.dataSN == 0x15 && pdu.bufferOffset == 0x1_0000 && pdu.residualCount == 0x17)
    }

    @Test(arguments: [
        (UInt8(0x00), true), (0x80, true), (0x81, true), (0x01, false), (0x87, false), (0x83, true),
        (0x06, true),
    ])
    func scsiDataInConsistency(flags: UInt8, isConsistent: Bool) {
        #expect(SCSIDataIn.Flags(rawValue: flags).isConsistent == isConsistent)
    }

    @Test func readyToTransfer() {
        let pdu = ReadyToTransfer(
            header(
                """
                31 80 0000 00000000
                00010000 00000000        // LUN
                00000021 00000022        // Initiator Task Tag, Target Transfer Tag
                00000023 00000024 00000025 // StatSN, ExpCmdSN, MaxCmdSN
                00000026 00000200 00000400 // R2TSN, Buffer Offset, Desired Data Transfer Length
                """))
        #expect(pdu.lun == 0x0001_0000_0000_0000 && pdu.initiatorTaskTag == 0x21)
        #expect(pdu.targetTransferTag == 0x22 && pdu.r2tSN == 0x26)
        #expect(pdu.bufferOffset == 0x200 && pdu.desiredDataTransferLength == 0x400)
        #expect(pdu.isAcceptable(expectedDataTransferLength: 0x600, maxBurstLength: 0x400))
        #expect(!pdu.isAcceptable(expectedDataTransferLength: 0x5ff, maxBurstLength: 0x400), "beyond the end")
        #expect(
            !pdu.isAcceptable(expectedDataTransferLength: 0x600, maxBurstLength: 0x3ff), "beyond the burst")
        var bad = pdu
        bad.header[11] = 0
        #expect(!bad.isAcceptable(expectedDataTransferLength: 0x600, maxBurstLength: 0x400), "nothing")
        bad = pdu
        bad.header[5] = reservedTag
        #expect(!bad.isAcceptable(expectedDataTransferLength: 0x600, maxBurstLength: 0x400), "no tag")
        bad = pdu
        bad.header[10] = .max
        bad.header[11] = .max
        #expect(!bad.isAcceptable(expectedDataTransferLength: 0x600, maxBurstLength: .max), "no overflow")
    }

    @Test func taskManagementResponse() {
        let pdu = TaskManagementResponse(
            header(
                """
                22 80 05 00 00000000     // opcode, Response
                0a0b0c00 00000000        // Additional Response Information
                00000031 00000000        // Initiator Task Tag
                00000032 00000033 00000034 // StatSN, ExpCmdSN, MaxCmdSN
                00000000 00000000 00000000
                """))
        #expect(pdu.response == .functionNotSupported)
        #expect(pdu.response.description == "task management function not supported")
        #expect(pdu.additionalResponseInformation == 0x0a0b0c)
        #expect(pdu.initiatorTaskTag == 0x31 && pdu.statSN == StatSN(0x32))
    }

    @Test func asynchronousMessage() {
        let pdu = AsynchronousMessage(
            header(
                """
                32 80 0000 00000000
                00010000 00000000        // LUN
                ffffffff 00000000
                00000041 00000042 00000043 // StatSN, ExpCmdSN, MaxCmdSN
                02 55 0102               // AsyncEvent, AsyncVCode, Parameter1
                0304 0506                // Parameter2, Parameter3
                00000000
                """))
        #expect(pdu.event == .connectionDrop && pdu.asyncVCode == 0x55)
        #expect(pdu.parameter1 == 0x0102 && pdu.parameter2 == 0x0304 && pdu.parameter3 == 0x0506)
        #expect(pdu.lun == 0x0001_0000_0000_0000 && pdu.statSN == StatSN(0x41))
        #expect(AsynchronousMessage.Event(rawValue: 250).isVendorSpecific)
    }

    @Test func textResponse() {
        let pdu = TextResponse(
            header(
                """
                24 40 0000 00000008      // opcode, C; DataSegmentLength
                00000000 00000009        // LUN
                00000051 00000052        // Initiator Task Tag, Target Transfer Tag
                00000053 00000054 00000055 // StatSN, ExpCmdSN, MaxCmdSN
                00000000 00000000 00000000
                """))
        #expect(!pdu.isFinal && pdu.isContinued && pdu.lun == 9 && pdu.targetTransferTag == 0x52)
        #expect(pdu.dataSegmentLength == 8 && pdu.initiatorTaskTag == 0x51)
    }

    @Test func loginResponse() {
        let pdu = LoginResponse(
            header(
                """
                23 87 01 00              // opcode; T CSG=1 NSG=3; Version-max, Version-active
                00 000010                // DataSegmentLength
                80aabbcc0102 0304        // ISID, TSIH
                00000061 00000000        // Initiator Task Tag
                00000062 00000063 00000064 // StatSN, ExpCmdSN, MaxCmdSN
                02 03 0000               // Status-Class, Status-Detail
                00000000 00000000
                """))
        #expect(pdu.isTransit && !pdu.isContinued)
        #expect(pdu.currentStage == .loginOperationalNegotiation && pdu.nextStage == .fullFeaturePhase)
        #expect(pdu.versionMax == 1 && pdu.versionActive == 0)
        #expect(pdu.isid == InitiatorSessionID(value: 0x80aa_bbcc_0102) && pdu.tsih == 0x0304)
        #expect(pdu.status == .notFound && pdu.statSN == StatSN(0x62))
        var reserved = pdu.header
        reserved[byte: 1] = 0x8a
        #expect(LoginResponse(reserved).currentStage == nil && LoginResponse(reserved).nextStage == nil)
    }

    @Test func logoutResponse() {
        let pdu = LogoutResponse(
            header(
                """
                26 80 03 00 00000000     // opcode, Response
                00000000 00000000
                00000071 00000000        // Initiator Task Tag
                00000072 00000073 00000074 // StatSN, ExpCmdSN, MaxCmdSN
                00000000
                0005 0014                // Time2Wait, Time2Retain
                00000000
                """))
        #expect(pdu.response == .cleanupFailed && pdu.time2Wait == 5 && pdu.time2Retain == 20)
    }

    @Test func nopIn() {
        let echo = NOPIn(
            header(
                """
                20 80 0000 00000004
                00000000 00000000
                00000081 ffffffff        // Initiator Task Tag, Target Transfer Tag
                00000082 00000083 00000084 // StatSN, ExpCmdSN, MaxCmdSN
                00000000 00000000 00000000
                """))
        #expect(echo.isEcho && !echo.wantsAnswer && echo.maxCmdSN == CmdSN(0x84))
        #expect(NOPOut(answering: echo, cmdSN: CmdSN(0), expStatSN: StatSN(0)) == nil)
        var odd = echo
        odd.header[5] = 1
        #expect(!odd.wantsAnswer, "an echo with a tag must not start a ping-pong")
    }

    @Test func reject() {
        let pdu = Reject(
            header(
                """
                3f 80 0c 00 00000030     // opcode, Reason, DataSegmentLength
                00000000 00000000
                ffffffff 00000000
                00000092 00000093 00000094 // StatSN, ExpCmdSN, MaxCmdSN
                00000095 00000000 00000000 // DataSN/R2TSN
                """))
        #expect(pdu.reason == .waitingForLogout && pdu.reason.description == "waiting for logout")
        #expect(!pdu.reason.mayResend && pdu.dataSN == 0x95 && pdu.dataSegmentLength == 48)
        #expect(Reject.Reason.tooManyImmediateCommands.mayResend)
    }

    @Test func everyCodeHasWords() {
        for code in UInt8.min...UInt8.max {
            #expect(!AsynchronousMessage.Event(rawValue: code).description.isEmpty)
            #expect(!Reject.Reason(rawValue: code).description.isEmpty)
            #expect(!LogoutResponse.Response(rawValue: code).description.isEmpty)
            #expect(!TaskManagementResponse.Response(rawValue: code).description.isEmpty)
            #expect(!SCSIResponse.Response(rawValue: code).description.isEmpty)
        }
    }

    @Test func lengthLimits() {
        var header = BasicHeaderSegment(opcode: .scsiDataIn)
        header.dataSegmentLength = 8192
        #expect(header.fits(maxRecvDataSegmentLength: 8192))
        #expect(!header.fits(maxRecvDataSegmentLength: 8191))
        header[byte: 4] = 1
        #expect(!header.fits(maxRecvDataSegmentLength: 8192), "no AHS comes from a target")
    }

    @Test func loginStatusWords() {
        #expect(LoginStatus.authenticationFailure.description.contains("check CHAP user and secret"))
        #expect(LoginStatus.notFound.description.contains("does not know this target name"))
        #expect(LoginStatus.tooManyConnections.description.contains("MaxConnections"))
        #expect(LoginStatus.cannotIncludeInSession.description.contains("portal group"))
        #expect(LoginStatus.notFound.description.hasSuffix("(login status 0203)"))
        for code: UInt16 in [0x0300, 0x0301, 0x0302, 0x03ff] {
            #expect(LoginStatus(rawValue: code).isRetryable)
        }
        for code: UInt16 in [0, 0x0101, 0x0200, 0x0201, 0x020b, 0x0400] {
            #expect(!LoginStatus(rawValue: code).isRetryable)
            #expect(!LoginStatus(rawValue: code).description.isEmpty)
        }
    }
}
