/// The server's side of the fixed newstyle handshake on a disk's Unix socket, one value a connection: bytes
/// of the client go in, bytes for the client come out, until transmission begins or the connection is to be
/// closed.
///
/// Every message is gathered here, at most `optionDataByteCountMax` bytes, so that the reader's buffer may be
/// of any size; what follows the last message stays with the reader, for it is the client's first request.
public struct ExportNegotiation: Sendable {
    /// The longest option data that is looked at; longer data is read away and answered with ERR_TOO_BIG. It
    /// holds an export's name and three queries of the longest kind.
    public static let optionDataByteCountMax = 16 << 10
    /// After so many options a client is not haggling any more.
    public static let optionCountMax = 2048

    /// Where the handshake stands.
    public enum Progress: Equatable, Sendable {
        case needMore
        case transmission(NegotiatedTransmission)
        /// Send the output, then close.
        case closed(NegotiationEnd)
    }

    /// What the next bytes of the client are.
    private enum State {
        /// Moves to `optionHeader`, or ends.
        case clientFlags
        /// Moves to `optionData` or `skippedData`, or ends.
        case optionHeader
        /// Moves to `optionHeader`, or ends with transmission.
        case optionData(NegotiationOption, byteCount: Int)
        /// Moves to `optionHeader`.
        case skippedData(NegotiationOption, byteCount: Int)
        case ended(Progress)
    }

    private static let magic: UInt64 = 0x4e42_444d_4147_4943
    private static let optionMagic: UInt64 = 0x4948_4156_454f_5054
    private static let fixedNewstyle: UInt32 = 1 << 0
    private static let noZeroes: UInt32 = 1 << 1

    private let export: ExportDescription
    private var state = State.clientFlags
    private var gathered: [UInt8] = []
    private var clientFlags: UInt32 = 0
    private var optionCount = 0
    private var structuredReplies = false
    /// The export name that SET_META_CONTEXT chose `base:allocation` for.
    private var baseAllocationChosenFor: ArraySlice<UInt8>?

    public init(export: ExportDescription) {
        self.export = export
    }

    /// The 18 bytes that the server sends first.
    public func start() -> [UInt8] {
        var greeting: [UInt8] = []
        greeting.appendBigEndian(Self.magic)
        greeting.appendBigEndian(Self.optionMagic)
        greeting.appendBigEndian(UInt16(Self.fixedNewstyle | Self.noZeroes))
        return greeting
    }

    /// Takes what the client sent. Only when `state` is no longer `.needMore` may bytes be left unconsumed.
    public mutating func received(
        _ bytes: UnsafeRawBufferPointer
    ) -> (consumed: Int, output: [UInt8], state: Progress) {
        var consumed = 0
        var output: [UInt8] = []
        while true {
            let byteCount: Int
            switch state {
            case .ended(let progress): return (consumed, output, progress)
            case .skippedData(let option, let left):
                let count = min(left, bytes.count - consumed)
                consumed += count
                guard count == left else {
                    state = .skippedData(option, byteCount: left - count)
                    return (consumed, output, .needMore)
                }
                refuseOversized(option, &output)
                state = .optionHeader
                continue
            case .clientFlags: byteCount = 4
            case .optionHeader: byteCount = 16
            case .optionData(_, let count): byteCount = count
            }
            let count = min(byteCount - gathered.count, bytes.count - consumed)
            unsafe gathered.append(
                contentsOf: UnsafeRawBufferPointer(rebasing: bytes[consumed..<consumed + count]))
            consumed += count
            guard gathered.count == byteCount else { return (consumed, output, .needMore) }
            let message = gathered
            gathered.removeAll()
            state = next(after: message, &output)
        }
    }

    /// The state that a complete message leads to.
    private mutating func next(after message: [UInt8], _ output: inout [UInt8]) -> State {
        var reader = OptionReader(message)
        do throws(OptionRefusal) {
            switch state {
            case .clientFlags:
                clientFlags = try reader.number(UInt32.self)
                guard clientFlags & ~(Self.fixedNewstyle | Self.noZeroes) == 0 else {
                    return .ended(.closed(.unknownClientFlags(clientFlags)))
                }
                return .optionHeader
            case .optionHeader:
                let magic = try reader.number(UInt64.self)
                let option = NegotiationOption(rawValue: try reader.number(UInt32.self))
                let byteCount = Int(try reader.number(UInt32.self))
                guard magic == Self.optionMagic else { return .ended(.closed(.badOptionMagic(magic))) }
                return begin(option, byteCount, &output)
            case .optionData(.exportName, _):
                return endWithExportName(message[...], &output)
            case .optionData(let option, _):
                return answer(option, message, &output)
            case .skippedData, .ended: return state
            }
        } catch {
            // Headers are gathered whole before they are read.
            return state
        }
    }

    /// Checks an option's header.
    private mutating func begin(
        _ option: NegotiationOption, _ byteCount: Int, _ output: inout [UInt8]
    ) -> State {
        optionCount += 1
        guard optionCount <= Self.optionCountMax else { return .ended(.closed(.tooManyOptions)) }
        if option == .exportName {
            // This option has no error reply.
            guard byteCount <= ExportDescription.stringByteCountMax else {
                return .ended(.closed(.oversizedExportName(byteCount)))
            }
            return .optionData(option, byteCount: byteCount)
        }
        guard clientFlags & Self.fixedNewstyle != 0 else {
            return .ended(.closed(.optionWithoutFixedNewstyle(option.rawValue)))
        }
        if option == .abort {
            output.appendReply(.acknowledge, to: option)
            return .ended(.closed(.aborted))
        }
        return byteCount <= Self.optionDataByteCountMax
            ? .optionData(option, byteCount: byteCount) : .skippedData(option, byteCount: byteCount)
    }

    private mutating func refuseOversized(_ option: NegotiationOption, _ output: inout [UInt8]) {
        if option == .setMetaContext { baseAllocationChosenFor = nil }
        output.appendReply(
            .tooBig, to: option,
            Array("options take at most \(Self.optionDataByteCountMax) bytes of data".utf8))
    }

    /// Answers any option but EXPORT_NAME and ABORT.
    private mutating func answer(
        _ option: NegotiationOption, _ data: [UInt8], _ output: inout [UInt8]
    ) -> State {
        var replies: [UInt8] = []
        var state = State.optionHeader
        do throws(OptionRefusal) {
            let reader = OptionReader(data)
            switch option {
            case .list:
                try reader.finish()
                let name = Array(export.name.utf8)
                var entry: [UInt8] = []
                entry.appendBigEndian(UInt32(name.count))
                replies.appendReply(.server, to: option, entry + name + Array(export.description.utf8))
            case .structuredReply:
                try reader.finish()
                structuredReplies = true
            case .info:
                _ = try describeExport(option, reader, &replies)
            case .go:
                let name = try describeExport(option, reader, &replies)
                state = .ended(.transmission(transmission(of: name)))
            case .listMetaContext:
                _ = try metaContexts(option, reader, &replies)
            case .setMetaContext:
                baseAllocationChosenFor = nil
                baseAllocationChosenFor = try metaContexts(option, reader, &replies)
            default:
                throw OptionRefusal(type: .unsupported, message: "the server does not know this option")
            }
        } catch {
            output.appendReply(error.type, to: option, Array(error.message.utf8))
            return .optionHeader
        }
        output.append(contentsOf: replies)
        output.appendReply(.acknowledge, to: option)
        return state
    }

    /// EXPORT_NAME, from the time before options had replies: size, flags and padding, or the end.
    private func endWithExportName(_ name: ArraySlice<UInt8>, _ output: inout [UInt8]) -> State {
        guard isExport(name) else { return .ended(.closed(.unknownExport)) }
        let transmission = transmission(of: name)
        output.appendBigEndian(export.sizeBytes)
        output.appendBigEndian(transmission.transmissionFlags.rawValue)
        if clientFlags & Self.noZeroes == 0 { output.append(contentsOf: repeatElement(0, count: 124)) }
        return .ended(.transmission(transmission))
    }

    /// INFO and GO: a name, then the kinds of information that the client would like. Returns the name.
    private func describeExport(
        _ option: NegotiationOption, _ data: OptionReader, _ replies: inout [UInt8]
    ) throws(OptionRefusal) -> ArraySlice<UInt8> {
        var reader = data
        let name = try reader.string()
        var wanted: [ExportInfo] = []
        for _ in 0..<(try reader.number(UInt16.self)) {
            wanted.append(ExportInfo(rawValue: try reader.number(UInt16.self)))
        }
        try reader.finish()
        try checkExport(name)

        func tell(_ info: ExportInfo, _ write: (inout [UInt8]) -> Void) {
            var payload: [UInt8] = []
            payload.appendBigEndian(info.rawValue)
            write(&payload)
            replies.appendReply(.info, to: option, payload)
        }
        let flags = export.announcedFlags(structuredReplies: structuredReplies)
        tell(.export) {
            $0.appendBigEndian(export.sizeBytes)
            $0.appendBigEndian(flags.rawValue)
        }
        if wanted.contains(.name) { tell(.name) { $0.append(contentsOf: export.name.utf8) } }
        if wanted.contains(.description), !export.description.isEmpty {
            tell(.description) { $0.append(contentsOf: export.description.utf8) }
        }
        if wanted.contains(.blockSize) {
            tell(.blockSize) {
                $0.appendBigEndian(export.minimumBlockSize)
                $0.appendBigEndian(export.preferredBlockSize)
                $0.appendBigEndian(export.maximumBlockSize)
            }
        }
        return name
    }

    /// LIST_META_CONTEXT and SET_META_CONTEXT: a name, then queries. Returns the name if `base:allocation` is
    /// among the answers. Without queries LIST tells of every context and SET chooses none; the wildcard
    /// `base:` is for LIST alone.
    private func metaContexts(
        _ option: NegotiationOption, _ data: OptionReader, _ replies: inout [UInt8]
    ) throws(OptionRefusal) -> ArraySlice<UInt8>? {
        guard structuredReplies else { throw .invalid("structured replies have not been negotiated") }
        var reader = data
        let name = try reader.string()
        let queryCount = try reader.number(UInt32.self)
        let lists = option == .listMetaContext
        var matches = lists && queryCount == 0
        for _ in 0..<queryCount {
            let query = try reader.string()
            if query.elementsEqual(BaseAllocation.contextName.utf8) { matches = true }
            if lists, query.elementsEqual(BaseAllocation.namespace.utf8) { matches = true }
        }
        try reader.finish()
        try checkExport(name)
        guard matches, export.baseAllocation else { return nil }
        var payload: [UInt8] = []
        // The number means nothing in a list, where it is zero.
        payload.appendBigEndian(lists ? 0 : BaseAllocation.contextID)
        payload.append(contentsOf: BaseAllocation.contextName.utf8)
        replies.appendReply(.metaContext, to: option, payload)
        return name
    }

    private func isExport(_ name: ArraySlice<UInt8>) -> Bool {
        name.isEmpty || name.elementsEqual(export.name.utf8)
    }

    private func checkExport(_ name: ArraySlice<UInt8>) throws(OptionRefusal) {
        guard isExport(name) else {
            throw OptionRefusal(type: .unknown, message: "the only export here is \"\(export.name)\"")
        }
    }

    /// What was agreed on, once the client has named the export. A context that was chosen under another name
    /// does not count.
    private func transmission(of name: ArraySlice<UInt8>) -> NegotiatedTransmission {
        NegotiatedTransmission(
            exportName: name.isEmpty ? "" : export.name,
            transmissionFlags: export.announcedFlags(structuredReplies: structuredReplies),
            structuredReplies: structuredReplies,
            baseAllocationContextID: baseAllocationChosenFor == name ? BaseAllocation.contextID : nil)
    }
}

/// What client and server agreed on.
public struct NegotiatedTransmission: Equatable, Sendable {
    /// As the client put it: the disk's name or empty.
    public var exportName: String
    /// As the client was told.
    public var transmissionFlags: TransmissionFlags
    /// Whether every READ is answered with chunks.
    public var structuredReplies: Bool
    /// The number that `base:allocation` has in BLOCK_STATUS replies; nil if the client did not choose it.
    public var baseAllocationContextID: UInt32?
}

/// Why a handshake ended without transmission.
public enum NegotiationEnd: Equatable, Sendable, CustomStringConvertible {
    /// The client had what it came for, as `nbdinfo --list` does.
    case aborted
    case unknownClientFlags(UInt32)
    case badOptionMagic(UInt64)
    case optionWithoutFixedNewstyle(UInt32)
    /// EXPORT_NAME with a name that is not served here.
    case unknownExport
    /// The length of the name, in bytes.
    case oversizedExportName(Int)
    case tooManyOptions

    public var description: String {
        switch self {
        case .aborted: "the client ended the handshake"
        case .unknownClientFlags(let flags):
            "the client set handshake flags 0x\(String(flags, radix: 16)), which NBD does not have"
        case .badOptionMagic(let magic):
            "the client sent 0x\(String(magic, radix: 16)) where an NBD option begins"
        case .optionWithoutFixedNewstyle(let option):
            "the client sent option \(option) without having agreed to the fixed newstyle handshake"
        case .unknownExport: "the client asked for an export that is not served on this socket"
        case .oversizedExportName(let byteCount):
            "the client sent an export name of \(byteCount) bytes; NBD allows 4096"
        case .tooManyOptions: "the client sent more options than any handshake needs"
        }
    }
}
