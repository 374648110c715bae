import CausewayCore
import Testing

/// Logical units of a scripted target: what they answer to the commands that read.
struct ScriptedUnits: Sendable {
    enum Answer: Sendable {
        case data([UInt8])
        /// CHECK CONDITION with fixed-format sense data.
        case sense(key: UInt8, code: UInt8, qualifier: UInt8)
        case status(UInt8)
        /// PDUs of the test's own making.
        case wrong(@Sendable (inout ScriptedPeer, BasicHeaderSegment) throws -> Void)
    }

    /// The answer to a command of the CDB's bytes, to the LUN field's eight bytes, and how often it came
    /// before.
    var answer: @Sendable (_ cdb: [UInt8], _ lun: UInt64, _ before: Int) -> Answer
    /// Data-In PDUs hold so many bytes at most.
    var dataInLength = 8192

    /// Answers commands until the logout, and that.
    func serve(_ peer: inout ScriptedPeer, window: UInt32 = 64) throws {
        var cmdSN: UInt32 = 1
        var counts: [[UInt8]: Int] = [:]
        while true {
            let (request, _) = try peer.receive()
            if request.opcode == .logoutRequest {
                try peer.send(peer.answer(.logoutResponse, to: request))
                return
            }
            guard request.opcode == .scsiCommand, request[6] == cmdSN else {
                throw ScriptedPeer.Unexpected()
            }
            cmdSN &+= 1
            let cdb = (32..<48).map { request[byte: $0] }
            let place = cdb + (8..<16).map { request[byte: $0] }
            let before = counts[place, default: 0]
            counts[place] = before + 1
            let length = Int(request[5])
            switch answer(cdb, request.lun, before) {
            case .data(let data):
                try send(Array(data.prefix(length)), to: request, &peer, cmdSN, window)
            case .sense(let key, let code, let qualifier):
                let sense: [UInt8] =
                    [0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, qualifier, 0, 0, 0, 0]
                var response = peer.answer(.scsiResponse, to: request, expCmdSN: cmdSN, window: window)
                response[byte: 3] = 0x02
                try peer.send(response, data: [0, UInt8(sense.count)] + sense)
            case .status(let status):
                var response = peer.answer(.scsiResponse, to: request, expCmdSN: cmdSN, window: window)
                response[byte: 3] = status
                try peer.send(response)
            case .wrong(let play): try play(&peer, request)
            }
        }
    }

    /// Data-In PDUs, the last with the status, and an underflow where less came than was asked for.
    private func send(
        _ data: [UInt8], to request: BasicHeaderSegment, _ peer: inout ScriptedPeer, _ cmdSN: UInt32,
        _ window: UInt32
    ) throws {
        var offset = 0
        repeat {
            let piece = Array(data[offset...].prefix(dataInLength))
            let isLast = offset + piece.count == data.count
            let missing = Int(request[5]) - data.count
            let flags: UInt8 = isLast ? (missing > 0 ? 0x83 : 0x81) : 0
            var header = peer.answer(
                .scsiDataIn, to: request, byte1: flags, expCmdSN: cmdSN, window: window, hasStatus: isLast)
            header[5] = reservedTag
            header[10] = UInt32(offset)
            if isLast { header[11] = UInt32(missing) }
            try peer.send(header, data: piece)
            offset += piece.count
        } while offset < data.count
    }

    // MARK: Data by hand

    /// REPORT LUNS data (SPC-4 §6.33.3).
    static func list(_ luns: [UInt64]) -> [UInt8] {
        bigEndian(UInt64(luns.count * 8) << 32) + luns.flatMap(bigEndian)
    }

    /// Standard INQUIRY data (SPC-4 §6.6.2) of 36 bytes.
    static func inquiry(type: UInt8 = 0, vendor: String, product: String) -> [UInt8] {
        [type, 0, 6, 2, 31, 0, 0, 2] + text(vendor, 8) + text(product, 16) + text("0001", 4)
    }

    /// A VPD page with its header (SPC-4 §7.8).
    static func page(_ code: UInt8, _ content: [UInt8]) -> [UInt8] {
        [0, code, UInt8(content.count >> 8), UInt8(content.count & 0xff)] + content
    }

    /// A designator of association "logical unit", binary, NAA (SPC-4 §7.8.6.6).
    static func naa(_ bytes: [UInt8]) -> [UInt8] { [0x01, 0x03, 0, UInt8(bytes.count)] + bytes }

    /// READ CAPACITY(16) data (SBC-3 §5.16.2).
    static func capacity(blocks: UInt64, length: UInt32) -> [UInt8] {
        bigEndian(blocks - 1) + bigEndian(UInt64(length) << 32) + [UInt8](repeating: 0, count: 16)
    }

    private static func bigEndian(_ number: UInt64) -> [UInt8] {
        stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> UInt64($0)) }
    }

    private static func text(_ text: String, _ length: Int) -> [UInt8] {
        Array((Array(text.utf8) + [UInt8](repeating: 0x20, count: length)).prefix(length))
    }
}
