import CausewayControl
import Testing

/// What people see, to the letter.
@Suite struct TextTests {
    @Test(
        arguments: [
            (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"),
            (10 << 30, "10 GiB"),
            (1_000_000_000_000, "931 GiB"), (5 << 39, "2.5 TiB"), (UInt64.max, "15.9 EiB"),
            (1_048_575, "1023 KiB"),
        ] as [(UInt64, String)])
    func bytes(count: UInt64, text: String) {
        #expect(Quantities.bytes(count) == text)
    }

    @Test(
        arguments: [
            (0, "0 us"), (999, "999 us"), (1000, "1 ms"), (1234, "1.2 ms"), (123_456, "123 ms"),
            (1_500_000, "1.5 s"),
            (UInt64.max, "18446744073709 s"),
        ] as [(UInt64, String)])
    func durations(microseconds: UInt64, text: String) {
        #expect(Quantities.duration(microseconds: microseconds) == text)
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"), (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] as [(UInt64, String)])
    func times(seconds: UInt64, text: String) {
        #expect(Quantities.utc(microseconds: seconds * 1_000_000 + 999_999) == text)
    }

    @Test func escaping() {
        #expect("plain \\ text".escapedForTerminal == "plain \\ text")
        #expect("\u{1b}[2J\n\u{7f}\u{e4}".escapedForTerminal == "\\x1b[2J\\x0a\\x7f\\xc3\\xa4")
        let once = "\u{9b}\r".escapedForTerminal
        #expect(once.escapedForTerminal == once)
    }

    @Test func table() {
        var table = TextTable([.left("NAME"), .right("SIZE"), .left("NOTE")])
        table.append(["a", "1", nil])
        table.append(["longer", "100", "x\ty"])
        table.append(["", "5", "end"])
        #expect(
            table.lines(indent: 2) == [
                "  NAME    SIZE  NOTE",
                "  a          1  -",
                "  longer   100  x\\x09y",
                "  -          5  end",
            ])
    }

    private func expect(_ lines: [String], _ golden: String) {
        #expect(lines.joined(separator: "\n") == golden)
    }

    @Test func reload() {
        expect(
            Samples.reload.lines,
            """
            ! a note
            data1  changed
              policy is fixed; it was round-robin
              eth2/10.0.2.1:3260 is logged in anew
              from the next login on: chap; not yet on eth1/10.0.1.1:3260
              only after detach and attach: lun is 2; it was 1
            data2  is being attached

            To log paths in anew, one after the other: causeway reload --relogin
            """)
        var reservations = Samples.reservations
        #expect(
            reservations.lines == [
                "data1 is registered with key 0xabc", "  eth1->10.0.1.1:3260",
                "  pinned to eth1->10.0.1.1:3260",
                "reserved: write-exclusive-registrants-only, held by key 0xdef", "keys (generation 7):",
                "  0xabc  2 nexuses, this host", "  0xdef  1 nexus",
            ])
        reservations.state = "evicted"
        #expect(reservations.lines[1] == "  to register again: causeway reserve data1 register")
        #expect(
            ReservationStatus(name: Samples.name(), generation: 0, keys: []).lines
                == ["data1 is not registered", "not reserved", "no keys"])
        #expect(ReloadReport(disks: []).lines == ["no disks"])
        #expect(Samples.reload.problems == ["data1: x\u{1b}"])
        #expect(Samples.reload.hasProblems)
    }

    @Test func discovery() {
        expect(
            Samples.discovery.lines,
            #"""
            iqn.2001-04.com.example:storage
              PORTAL              TPG  INTERFACE
              10.0.1.1:3260         1  eth1
              [2001:db8::1]:3261    1  -
              LUN    SIZE  BLOCK  VENDOR   MODEL  SERIAL  WWID
                1  10 GiB    512  LIO-ORG  disk0  4f1b    naa.6001405f1b
               12       -      -  -        -      -       -
              LUN 12: not ready

            iqn.2001-04.com.example:\x1b[2J
              PORTAL  TPG  INTERFACE
            """#)
        #expect(Discovery(targets: []).lines == ["no targets"])
    }

    @Test func list() {
        var second = Samples.summary
        second.name = Samples.name("backup")
        second.device = nil
        second.state = .optimal
        second.readOnly = false
        second.pathsActive = 2
        second.sizeBytes = 3 << 39
        expect(
            DiskSummary.lines(of: [Samples.summary, second]),
            """
            NAME    DEVICE              SIZE  STATE                 PATHS  LUN  TARGET
            data1   /dev/nbd0         10 GiB  degraded (read-only)    1/2    1  \
            iqn.2001-04.com.example:storage
            backup  /run/data1.sock  1.5 TiB  optimal                 2/2    1  \
            iqn.2001-04.com.example:storage
            data1: something
            backup: something
            """)
        #expect(DiskSummary.lines(of: []) == ["no disks"])
    }

    @Test func settings() {
        expect(Samples.report.settingLines, "fence=barrier\npolicy=round-robin")
    }

    @Test func status() {
        expect(
            Samples.report.lines,
            """
            data1  /dev/nbd0  10 GiB  degraded (read-only)
              Target    iqn.2001-04.com.example:storage, LUN 1
              Product   LIO-ORG disk0
              WWID      naa.6001405f1b
              Size      10737418240 bytes in blocks of 512, read-only
              Policy    round-robin
              Settings  fence=barrier
              ! no space on the LUN for 7 s: writes are held (space = hold)

              INTERFACE  ADDRESS   PORTAL         TPG  STATE   IN FLIGHT    I/OS\
              SHARE   READ  WRITTEN   MEAN     P99  ERRORS
              eth1       10.0.1.2  10.0.1.1:3260    1  active         12  123456\
              100 %  5 GiB  1.5 KiB  85 us  1.2 ms       2
              eth2       -         10.0.2.1:3260    -  down            0       0\
                0 %    0 B      0 B      -       -       0

              INTERFACE  PORTAL            RTT  RETRANSMITS  PINGS  SUSPECT  LOST  FENCES  HELD    LAST\
              HEDGED  WON  QUARANTINES
              eth1       10.0.1.1:3260  120 us            3     40        5     2       1     6  4.3 ms\
                   9    8            1
              eth2       10.0.2.1:3260       -            -      0        0     0       0     0       -\
                   0    0            0

              INTERFACE  PORTAL         TARGET PORT GROUP  ACCESS            PREFERRED
              eth1       10.0.1.1:3260                  2  active/optimized  yes
              eth1 10.0.1.1:3260: quarantined until 2026-01-01T00:00:00Z: slow
              eth2 10.0.2.1:3260: connection reset by the target
              eth1 10.0.1.1:3260: last fence: reinstated on eth2, then the barrier, 4 ms
              eth1 10.0.1.1:3260: 3 PDUs damaged on their way

              Requests  reads 100 (5 GiB), writes 50 (1.5 KiB), flushes 3, trims 2, write-zeroes 1
              Trouble   errors 0, sent again 7, fences 1 (6 writes), hedged reads 9, held now 4,\
             WRITES WITHOUT FENCE 2

            Events
              2025-12-31T23:59:59Z  eth2 10.0.2.1:3260: link lost
            """)
    }

    @Test func attached() {
        expect(
            Samples.report.attachedLines,
            """
            data1  /dev/nbd0  10 GiB  degraded (read-only)
              ! no space on the LUN for 7 s: writes are held (space = hold)

              INTERFACE  ADDRESS   PORTAL         TPG  STATE
              eth1       10.0.1.2  10.0.1.1:3260    1  active
              eth2       -         10.0.2.1:3260    -  down
              eth1 10.0.1.1:3260: slow
              eth2 10.0.2.1:3260: connection reset by the target
            """)
    }

    @Test func attachedWithQueues() {
        expect(
            Samples.reportOfQueues.attachedLines,
            """
            data1  /dev/nbd0  10 GiB  degraded (read-only)
              Queues    2, each with a session on every path: 1 of 4 are up
              ! no space on the LUN for 7 s: writes are held (space = hold)

              INTERFACE  ADDRESS   PORTAL         TPG  STATE   SESSIONS
              eth1       10.0.1.2  10.0.1.1:3260    1  active       1/2
              eth2       -         10.0.2.1:3260    -  down         0/2
              eth1 10.0.1.1:3260: slow
              eth2 10.0.2.1:3260: connection reset by the target
            """)
    }

    @Test func parametersOfAPath() {
        #expect(
            Samples.parameters.lines == [
                "eth1 -> 10.0.1.1:3260, queue 1",
                "  Authentication  CHAP SHA-256, mutual",
                "  KEY         WANTED  NEGOTIATED  ALLOWED  STANDARD  RULE",
                "  InitialR2T  No      Yes         Yes, No  Yes       Yes if either wants it",
            ])
    }
}
