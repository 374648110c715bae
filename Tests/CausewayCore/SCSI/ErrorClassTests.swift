import Testing

@testable import CausewayCore

/// One line a row of the table.
@Suite struct ErrorClassTests {
    struct Row: Sendable, CustomStringConvertible {
        let key: UInt8
        let asc: UInt8
        let ascq: UInt8
        let expected: ErrorClassification
        init(
            _ key: UInt8, _ asc: UInt8, _ ascq: UInt8, _ errorClass: ErrorClass, _ notices: TargetNotices = []
        ) {
            self.key = key
            self.asc = asc
            self.ascq = ascq
            expected = ErrorClassification(errorClass, notices)
        }
        var sense: SenseData { SenseData(SenseKey(rawValue: key), AdditionalSense(asc, ascq)) }
        var description: String { sense.description }
    }

    static let rows: [Row] = [
        Row(0x0, 0x00, 0x00, .retry),  // no sense
        Row(0x1, 0x17, 0x01, .good),  // recovered data with retries
        Row(0x1, 0x5d, 0x00, .good),  // failure prediction
        Row(0xf, 0x00, 0x00, .good),  // completed

        Row(0x2, 0x04, 0x00, .pathError(.notReady)),
        Row(0x2, 0x04, 0x01, .retryAfterDelay),  // becoming ready
        Row(0x2, 0x04, 0x02, .pathError(.notReady)),  // initializing command required
        Row(0x2, 0x04, 0x03, .pathError(.notReady)),  // manual intervention required
        Row(0x2, 0x04, 0x04, .retryAfterDelay),  // format
        Row(0x2, 0x04, 0x05, .retryAfterDelay),  // rebuild
        Row(0x2, 0x04, 0x06, .retryAfterDelay),  // recalculation
        Row(0x2, 0x04, 0x07, .retryAfterDelay),  // operation
        Row(0x2, 0x04, 0x08, .retryAfterDelay),  // long write
        Row(0x2, 0x04, 0x09, .retryAfterDelay),  // self-test
        Row(0x2, 0x04, 0x0a, .retryAfterDelay, .accessStateChanged),  // ALUA transition
        Row(0x2, 0x04, 0x0b, .pathError(.accessState), .accessStateChanged),  // standby
        Row(0x2, 0x04, 0x0c, .pathError(.accessState), .accessStateChanged),  // unavailable
        Row(0x2, 0x04, 0x12, .pathError(.accessState), .accessStateChanged),  // offline
        Row(0x2, 0x04, 0x14, .retryAfterDelay),  // space allocation in progress
        Row(0x2, 0x04, 0x1a, .retryAfterDelay),  // start stop
        Row(0x2, 0x04, 0x1b, .retryAfterDelay),  // sanitize
        Row(0x2, 0x04, 0x1d, .retryAfterDelay),  // configuration
        Row(0x2, 0x3a, 0x00, .deviceError),  // medium not present
        Row(0x2, 0x3a, 0x02, .deviceError),
        Row(0x2, 0x3e, 0x00, .retryAfterDelay),  // not self-configured yet
        Row(0x2, 0x3e, 0x01, .pathError(.logicalUnitGone)),
        Row(0x2, 0x05, 0x00, .pathError(.notReady)),  // does not respond to selection

        Row(0x3, 0x11, 0x00, .deviceError),  // unrecovered read error
        Row(0x3, 0x0c, 0x00, .deviceError),  // write error
        Row(0x4, 0x44, 0x00, .deviceError),  // internal target failure
        Row(0x4, 0x08, 0x00, .pathError(.notReady)),  // communication failure
        Row(0x4, 0x08, 0x01, .pathError(.notReady)),
        Row(0x4, 0x3e, 0x01, .pathError(.logicalUnitGone)),  // logical unit failure
        Row(0x4, 0x3e, 0x03, .pathError(.logicalUnitGone)),  // failed self-test
        Row(0x4, 0x4c, 0x00, .pathError(.logicalUnitGone)),  // failed self-configuration

        Row(0x5, 0x20, 0x00, .deviceError),  // invalid operation code
        Row(0x5, 0x21, 0x00, .deviceError, .capacityChanged),  // LBA out of range
        Row(0x5, 0x22, 0x00, .deviceError),
        Row(0x5, 0x24, 0x00, .deviceError),  // invalid field in CDB
        Row(0x5, 0x25, 0x00, .pathError(.logicalUnitGone), .lunListChanged),
        Row(0x5, 0x26, 0x00, .deviceError),  // invalid field in parameter list
        Row(0x5, 0x27, 0x00, .deviceError),

        Row(0x6, 0x04, 0x0a, .retryAfterDelay, .accessStateChanged),
        Row(0x6, 0x28, 0x00, .retry, [.capacityChanged, .inquiryChanged]),
        Row(0x6, 0x29, 0x00, .retry, [.reset, .inquiryChanged]),
        Row(0x6, 0x29, 0x01, .retry, [.reset, .restarted, .inquiryChanged]),
        Row(0x6, 0x29, 0x02, .retry, .reset),
        Row(0x6, 0x29, 0x03, .retry, .reset),
        Row(0x6, 0x29, 0x04, .retry, [.reset, .restarted]),
        Row(0x6, 0x29, 0x05, .retry, .reset),
        Row(0x6, 0x29, 0x07, .retry, [.reset, .nexusLost]),
        Row(0x6, 0x2a, 0x00, .retry, .modePagesChanged),
        Row(0x6, 0x2a, 0x01, .retry, .modePagesChanged),
        Row(0x6, 0x2a, 0x02, .retry),  // log parameters
        Row(0x6, 0x2a, 0x03, .retry, .reservationsPreempted),
        Row(0x6, 0x2a, 0x04, .retry, .reservationsReleased),
        Row(0x6, 0x2a, 0x05, .retry, .registrationsPreempted),
        Row(0x6, 0x2a, 0x06, .retry, .accessStateChanged),
        Row(0x6, 0x2a, 0x07, .pathError(.accessState), .accessStateChanged),
        Row(0x6, 0x2a, 0x09, .retry, .capacityChanged),
        Row(0x6, 0x2f, 0x00, .retry),  // commands cleared by another initiator
        Row(0x6, 0x38, 0x07, .retry, .thinThresholdReached),
        Row(0x6, 0x3f, 0x00, .retry, [.inquiryChanged, .modePagesChanged]),
        Row(0x6, 0x3f, 0x01, .retry, [.inquiryChanged, .modePagesChanged]),
        Row(0x6, 0x3f, 0x02, .retry, [.inquiryChanged, .modePagesChanged]),
        Row(0x6, 0x3f, 0x03, .retry, .inquiryChanged),
        Row(0x6, 0x3f, 0x05, .retry, .inquiryChanged),
        Row(0x6, 0x3f, 0x0e, .retry, .lunListChanged),
        Row(0x6, 0x99, 0x99, .retry),

        Row(0x7, 0x27, 0x00, .deviceError),  // write protected
        Row(0x7, 0x27, 0x07, .spaceExhausted),
        Row(0x7, 0x27, 0x08, .deviceError),
        Row(0x8, 0x00, 0x00, .deviceError),  // blank check
        Row(0x9, 0x00, 0x00, .deviceError),  // vendor specific
        Row(0xa, 0x00, 0x00, .deviceError),  // copy aborted
        Row(0xb, 0x00, 0x00, .retry),  // aborted command
        Row(0xb, 0x04, 0x0a, .retryAfterDelay, .accessStateChanged),
        Row(0xb, 0x10, 0x01, .deviceError),  // protection information
        Row(0xb, 0x10, 0x02, .deviceError),
        Row(0xb, 0x10, 0x03, .deviceError),
        Row(0xb, 0x44, 0x00, .retry),
        Row(0xb, 0x47, 0x03, .retry),  // CRC error of an information unit
        Row(0xc, 0x00, 0x00, .deviceError),  // reserved
        Row(0xd, 0x00, 0x00, .deviceError),  // volume overflow
        Row(0xe, 0x1d, 0x00, .deviceError),  // miscompare
    ]

    @Test(arguments: rows)
    func senseDataRow(row: Row) {
        #expect(classify(status: .checkCondition, sense: row.sense) == row.expected)
    }

    @Test(arguments: [
        (SCSIStatus.good, ErrorClass.good), (.conditionMet, .good),
        (.busy, .retryAfterDelay), (.taskSetFull, .retryAfterDelay), (.acaActive, .retryAfterDelay),
        (.reservationConflict, .reservationConflict), (.taskAborted, .retry),
        // CHECK CONDITION without sense data.
        (.checkCondition, .retry),
        // INTERMEDIATE (obsolete) and a reserved value.
        (SCSIStatus(rawValue: 0x10), .retry), (SCSIStatus(rawValue: 0x77), .retry),
    ])
    func statusRow(status: SCSIStatus, expected: ErrorClass) {
        #expect(classify(status: status, sense: nil) == ErrorClassification(expected))
    }

    @Test func senseCountsOnlyWithCheckCondition() {
        // Sense data of a GOOD command (SPC-4 4.5.1) do not make it fail.
        let sense = SenseData(.mediumError, .unrecoveredReadError)
        #expect(classify(status: .good, sense: sense).errorClass == .good)
        #expect(classify(status: .busy, sense: sense).errorClass == .retryAfterDelay)
    }

    @Test func aDeferredErrorIsNotThisCommands() {
        for key in UInt8(0)...15 {
            let sense = SenseData(SenseKey(rawValue: key), .writeError, isDeferred: true)
            #expect(
                classify(status: .checkCondition, sense: sense)
                    == ErrorClassification(.retry, .deferredError))
        }
    }

    @Test func everyCodeHasAClassAndOnlyNamedOnesAreGood() {
        for key in UInt8(0)...15 {
            for asc in UInt8.min...UInt8.max {
                for ascq in UInt8.min...UInt8.max {
                    let sense = SenseData(SenseKey(rawValue: key), AdditionalSense(asc, ascq))
                    let found = classify(status: .checkCondition, sense: sense).errorClass
                    if (found == .good) != (key == 0x1 || key == 0xf) {
                        Issue.record("\(sense) is \(found)")
                    }
                    if found == .spaceExhausted, (key, asc, ascq) != (7, 0x27, 7) {
                        Issue.record("\(sense) is \(found)")
                    }
                }
            }
        }
    }
}
