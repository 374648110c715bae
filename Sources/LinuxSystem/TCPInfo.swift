import CLinux
public import CausewayCore

/// What the kernel knows of a TCP connection (TCP_INFO, tcp(7)).
public struct TCPInfo: BitwiseCopyable, Sendable {
    private let raw: linux_tcp_info

    /// The socket's state now; throws for a socket that is not TCP.
    public init(of socket: Int32) throws(SystemError) {
        var info = linux_tcp_info()
        try check(unsafe linux_read_tcp_info(socket, &info), "getsockopt TCP_INFO", "descriptor \(socket)")
        raw = info
    }

    /// TCP_ESTABLISHED.
    public var isEstablished: Bool { raw.state == 1 }
    /// Smoothed round-trip time and its mean deviation.
    public var rttMicroseconds: UInt32 { raw.rtt_us }
    public var rttVarianceMicroseconds: UInt32 { raw.rtt_variance_us }
    /// The shortest round trip seen lately.
    public var minimumRTTMicroseconds: UInt32 { raw.minimum_rtt_us }
    public var retransmissionTimeoutMicroseconds: UInt32 { raw.retransmission_timeout_us }
    /// Time-outs in a row of the segment that is being sent again; 0 while acknowledgements come.
    public var consecutiveTimeouts: Int { Int(raw.retransmits) }
    public var backoff: Int { Int(raw.backoff) }
    public var unacknowledgedSegments: Int { Int(raw.unacknowledged_segments) }
    public var lostSegments: Int { Int(raw.lost_segments) }
    /// Segments sent again since the connection was made.
    public var totalRetransmits: Int { Int(raw.total_retransmits) }
    public var pathMTU: Int { Int(raw.path_mtu) }
    public var sendSegmentByteCount: Int { Int(raw.send_segment_bytes) }
    public var congestionWindowSegments: Int { Int(raw.congestion_window_segments) }
    /// Bytes taken by the kernel and not yet sent for the first time (Linux 4.6 and later).
    public var unsentByteCount: Int { Int(raw.unsent_bytes) }
    public var millisecondsSinceDataSent: UInt32 { raw.last_data_sent_ms }
    public var millisecondsSinceDataReceived: UInt32 { raw.last_data_received_ms }
    public var millisecondsSinceAcknowledgement: UInt32 { raw.last_acknowledgement_received_ms }
}

extension TCPInfo {
    /// What a lane wants to know of it.
    public var report: TransportReport {
        var report = TransportReport()
        report.unacknowledgedSegments = unacknowledgedSegments
        report.consecutiveTimeouts = consecutiveTimeouts
        report.totalRetransmits = totalRetransmits
        report.roundTripMicroseconds = rttMicroseconds
        report.segmentBytes = sendSegmentByteCount
        report.millisecondsSinceAcknowledgement = millisecondsSinceAcknowledgement
        return report
    }
}
