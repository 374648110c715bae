/// The client's side of the fixed newstyle handshake (NBD's proto.md): structured replies and base:allocation
/// are asked for, then GO, all at once.
struct NBDHandshake {
    enum Step {
        case needMore
        case ready
        case failed(String)
    }

    private static let optionMagic: UInt64 = 0x4948_4156_454f_5054
    private static let replyMagic: UInt64 = 0x0003_e889_0455_65a9
    private static let structuredReply: UInt64 = 8
    private static let setMetaContext: UInt64 = 10
    private static let go: UInt64 = 7

    private let export: String
    private var isGreeted = false
    private(set) var isOver = false
    private(set) var isStructured = false
    private(set) var allocationContext: UInt64?
    /// To be sent.
    private(set) var output: [UInt8] = []

    init(export: String) { self.export = export }

    mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    /// - Parameter position: where `bytes` are to be read from; moves behind what was read.
    mutating func received(_ bytes: [UInt8], _ position: inout Int) -> Step {
        if !isGreeted {
            guard bytes.count - position >= 18 else { return .needMore }
            guard bytes.field(position + 8, bytes: 8) == Self.optionMagic else {
                return .failed("no greeting")
            }
            position += 18
            isGreeted = true
            ask()
        }
        while bytes.count - position >= 20 {
            let length = Int(bytes.field(position + 16, bytes: 4))
            guard bytes.field(position, bytes: 8) == Self.replyMagic else {
                return .failed("no option reply")
            }
            guard bytes.count - position >= 20 + length else { break }
            let option = bytes.field(position + 8, bytes: 4)
            let type = bytes.field(position + 12, bytes: 4)
            let data = position + 20
            position += 20 + length
            switch (option, type) {
            case (Self.structuredReply, 1): isStructured = true
            case (Self.setMetaContext, 4): allocationContext = bytes.field(data, bytes: 4)
            case (Self.go, 1):
                isOver = true
                return .ready
            case (Self.go, 3), (Self.setMetaContext, 1): break
            case (Self.setMetaContext, 0x8000_0000...): break
            default: return .failed("reply \(type) to option \(option)")
            }
        }
        return .needMore
    }

    private mutating func ask() {
        output.append(3, bytes: 4)
        option(Self.structuredReply, [])
        var query = name
        let context = Array("base:allocation".utf8)
        query.append(1, bytes: 4)
        query.append(UInt64(context.count), bytes: 4)
        option(Self.setMetaContext, query + context)
        option(Self.go, name + [0, 0])
    }

    private var name: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(UInt64(export.utf8.count), bytes: 4)
        return bytes + export.utf8
    }

    private mutating func option(_ code: UInt64, _ data: [UInt8]) {
        output.append(Self.optionMagic, bytes: 8)
        output.append(code, bytes: 4)
        output.append(UInt64(data.count), bytes: 4)
        output += data
    }
}
