import CausewayCore

extension TargetConnection {
    /// A PDU as the trace shows it.
    func describe(_ header: BasicHeaderSegment) -> String {
        let names: [UInt8: String] = [
            0x00: "NOP-Out", 0x01: "Command", 0x02: "TMF", 0x03: "Login", 0x05: "Data-Out", 0x06: "Logout",
            0x20: "NOP-In", 0x21: "Response", 0x22: "TMF-Resp", 0x23: "Login-Resp", 0x25: "Data-In",
            0x26: "Logout-Resp",
            0x31: "R2T", 0x32: "Async", 0x3f: "Reject",
        ]
        let code = header.opcode.rawValue
        var text = names[code] ?? "opcode \(code)"
        text += String(repeating: " ", count: max(1, 12 - text.count))
        text += "itt \(String(header[4], radix: 16)) len \(header.dataSegmentLength)"
        switch code {
        case 0x01:
            let cdb = (8...11).map { String(header[$0], radix: 16) }.joined(separator: " ")
            text += " lun \(header[2] >> 16) cmd \(header[6]) cdb \(cdb) edtl \(header[5])"
        case 0x05, 0x25, 0x31: text += " off \(header[10]) dsn \(header[9]) f \(header.isFinal ? 1 : 0)"
        case 0x21: text += " status \(header[byte: 3]) stat \(header[6]) exp \(header[7]) max \(header[8])"
        default: break
        }
        return text
    }
}

/// How many bytes of digest follow a header and data.
struct StreamDigestCounts {
    var header = 0
    var data = 0

    init() {}

    init(_ parameters: NegotiatedParameters) {
        header = parameters.headerDigest == .crc32c ? 4 : 0
        data = parameters.dataDigest == .crc32c ? 4 : 0
    }

    /// Every bit of a PDU is covered.
    var isComplete: Bool { header > 0 && data > 0 }
}
