/// What a connection's requests are held against: every check of a request is here, so that whoever carries
/// one out has nothing left to check.
public struct RequestRules: BitwiseCopyable, Sendable {
    /// The longest READ or WRITE of the kernel driver, in bytes: 32 MiB.
    public static let kernelPayloadMax: UInt32 = 32 << 20

    /// Follows a resize of the disk.
    public var sizeBytes: UInt64
    /// The longest READ or WRITE that is served, in bytes: never less than what the export announces.
    public let payloadMax: UInt32
    /// The longest payload of a refused WRITE that is worth reading away, in bytes.
    public let skippedPayloadMax: UInt32
    private let transmissionFlags: TransmissionFlags
    private let structuredReplies: Bool
    private let blockStatus: Bool
    /// One less than the minimum block size, a power of two.
    private let misalignment: UInt64

    /// For the kernel's driver, which negotiates nothing.
    public init(export: ExportDescription, payloadMax: UInt32 = RequestRules.kernelPayloadMax) {
        self.init(
            export: export, payloadMax: payloadMax, structuredReplies: false, blockStatus: false)
    }

    /// For a client that negotiated.
    public init(
        export: ExportDescription, transmission: NegotiatedTransmission,
        payloadMax: UInt32 = RequestRules.kernelPayloadMax
    ) {
        self.init(
            export: export, payloadMax: payloadMax, structuredReplies: transmission.structuredReplies,
            blockStatus: transmission.baseAllocationContextID != nil)
    }

    private init(export: ExportDescription, payloadMax: UInt32, structuredReplies: Bool, blockStatus: Bool) {
        sizeBytes = export.sizeBytes
        self.payloadMax = max(payloadMax, export.maximumBlockSize)
        skippedPayloadMax = min(max(self.payloadMax, Self.kernelPayloadMax), .max / 2) * 2
        transmissionFlags = export.announcedFlags(structuredReplies: structuredReplies)
        self.structuredReplies = structuredReplies
        self.blockStatus = blockStatus
        misalignment = UInt64(export.minimumBlockSize) - 1
    }

    /// What to do with a request, from its header alone.
    @inline(__always)
    public func validate(_ request: NBDRequest) -> RequestVerdict {
        guard request.magic == NBDRequest.magic else { return .disconnect(.badMagic(request.magic)) }
        if request.command == .disconnect { return .disconnect(.requested) }
        guard let fault = fault(in: request) else { return .accept }
        guard request.command == .write, request.length > 0 else { return .refuse(fault.error) }
        // Reading away what a client says is coming keeps the connection; gigabytes are no longer a mistake.
        guard request.length <= skippedPayloadMax else { return .disconnect(.oversizedWrite(request.length)) }
        return .refuseAndSkipPayload(fault.error)
    }

    /// What is wrong with a request, for its error reply and for the log; nil if nothing is.
    @inline(__always)
    public func fault(in request: NBDRequest) -> RequestFault? {
        var allowedFlags: CommandFlags =
            transmissionFlags.contains(.sendForceUnitAccess) ? .forceUnitAccess : CommandFlags(rawValue: 0)
        var changesData = false
        var carriesData = false
        switch request.command {
        case .read:
            carriesData = true
            if structuredReplies { allowedFlags.formUnion(.doNotFragment) }
        case .write:
            carriesData = true
            changesData = true
        case .writeZeroes:
            // Announced or not: Linux 6.12 to 7.2 keeps this ability when a device number is used again.
            changesData = true
            allowedFlags.formUnion(.noHole)
            if transmissionFlags.contains(.sendFastZero) { allowedFlags.formUnion(.fastZero) }
        case .trim:
            guard transmissionFlags.contains(.sendTrim) else { return .commandNotOffered }
            changesData = true
        case .flush:
            guard transmissionFlags.contains(.sendFlush) else { return .commandNotOffered }
            guard request.flags.isSubset(of: allowedFlags) else { return .flagNotAllowed }
            return request.offset == 0 && request.length == 0 ? nil : .flushOfRange
        case .cache:
            guard transmissionFlags.contains(.sendCache) else { return .commandNotOffered }
        case .blockStatus:
            guard blockStatus else { return .noMetadataContext }
            allowedFlags.formUnion(.requestOne)
        default: return .unknownCommand
        }
        guard request.flags.isSubset(of: allowedFlags) else { return .flagNotAllowed }
        if changesData, transmissionFlags.contains(.readOnly) { return .readOnly }
        if request.length == 0 { return .zeroLength }
        if carriesData, request.length > payloadMax {
            return request.flags.contains(.doNotFragment) ? .tooLongForOneChunk : .tooLong
        }
        if (request.offset | UInt64(request.length)) & misalignment != 0 { return .unaligned }
        if request.offset > sizeBytes || UInt64(request.length) > sizeBytes - request.offset {
            return changesData && request.command != .trim ? .writePastEnd : .pastEnd
        }
        return nil
    }
}

/// What to do with a request.
public enum RequestVerdict: Equatable, BitwiseCopyable, Sendable {
    case accept
    /// Answer with this error; the next header follows at once.
    case refuse(NBDError)
    /// Answer with this error, and drop the `length` bytes of payload that follow the header.
    case refuseAndSkipPayload(NBDError)
    /// Answer what is in flight and close: no request can follow.
    case disconnect(TransmissionEnd)
}

/// Why a transmission ends.
public enum TransmissionEnd: Equatable, BitwiseCopyable, Sendable, CustomStringConvertible {
    /// The client sent NBD_CMD_DISC.
    case requested
    /// The stream has lost its place: where the next request starts is not known.
    case badMagic(UInt32)
    /// The length of a WRITE, in bytes.
    case oversizedWrite(UInt32)

    public var description: String {
        switch self {
        case .requested: "the client disconnected"
        case .badMagic(let magic):
            "the client sent magic 0x\(String(magic, radix: 16)) where an NBD request begins"
        case .oversizedWrite(let length): "the client announced a WRITE of \(length) bytes"
        }
    }
}

/// What is wrong with a request. All of it is the client's doing.
public enum RequestFault: UInt8, Equatable, BitwiseCopyable, Sendable, CaseIterable {
    case unknownCommand, commandNotOffered, flagNotAllowed, noMetadataContext, readOnly, zeroLength
    case tooLong, tooLongForOneChunk, unaligned, pastEnd, writePastEnd, flushOfRange

    public var error: NBDError {
        switch self {
        case .readOnly: .notPermitted
        case .tooLongForOneChunk: .overflow
        case .writePastEnd: .noSpace
        case .unknownCommand, .commandNotOffered, .flagNotAllowed, .noMetadataContext, .zeroLength, .tooLong,
            .unaligned, .pastEnd, .flushOfRange:
            .invalidArgument
        }
    }

    /// For a person at the client's end.
    public var message: StaticString {
        switch self {
        case .unknownCommand: "the server does not know this command"
        case .commandNotOffered: "the export does not offer this command"
        case .flagNotAllowed: "a command flag is unknown, not offered or not for this command"
        case .noMetadataContext: "BLOCK_STATUS without a negotiated metadata context"
        case .readOnly: "the export is read-only"
        case .zeroLength: "the length is zero"
        case .tooLong: "the request is longer than the export's maximum block size"
        case .tooLongForOneChunk: "the request is too long to be answered in one chunk"
        case .unaligned: "offset or length is not a multiple of the export's minimum block size"
        case .pastEnd: "the request ends after the end of the export"
        case .writePastEnd: "the write ends after the end of the export"
        case .flushOfRange: "FLUSH takes neither offset nor length"
        }
    }
}
