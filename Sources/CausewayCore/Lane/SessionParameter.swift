/// A key of RFC 7143 §13 that is negotiated for a disk's sessions: a row of `SessionParameter.all`. What the
/// standard says of the key is in `TextKey.table`; here is what this initiator makes of it.
public struct SessionParameter: Sendable {
    public enum Values: Equatable, Sendable {
        case flags([Bool])
        case number(ClosedRange<Int>)
        /// Set for each disk, see `DiskSetting`.
        case digest
        /// Not to be chosen: what is done without offering the key.
        case fixed
    }

    public let key: TextKey
    /// What it may be set to: the range of the standard, as far as this initiator can keep it.
    public let values: Values
    let text: @Sendable (WantedParameters) -> String
    let set: @Sendable (inout WantedParameters, Int) -> Void
    let negotiated: @Sendable (NegotiatedParameters) -> String

    public static let all: [SessionParameter] = [
        digest(.headerDigest, \.headerDigest, \.headerDigest),
        digest(.dataDigest, \.dataDigest, \.dataDigest),
        flag(.initialR2T, [true, false], \.initialR2T, \.initialR2T),
        flag(.immediateData, [true, false], \.immediateData, \.immediateData),
        SessionParameter(
            key: .maxRecvDataSegmentLength, values: .number(512...262_144),
            text: { "\($0.maxRecvDataSegmentLength)" }, set: { $0.maxRecvDataSegmentLength = $1 },
            negotiated: {
                "\($0.initiatorMaxRecvDataSegmentLength), the target's \($0.targetMaxRecvDataSegmentLength)"
            }),
        number(.maxBurstLength, 512...16_777_215, \.maxBurstLength, \.maxBurstLength),
        number(.firstBurstLength, 512...16_777_215, \.firstBurstLength, \.firstBurstLength),
        // One place of a task's queue is for data that is sent unasked.
        number(
            .maxOutstandingR2T, 1...(TransferQueue.capacity - 1), \.maxOutstandingR2T, \.maxOutstandingR2T),
        // Data out of order is not asked for.
        flag(.dataPDUInOrder, [true], \.dataPDUInOrder, \.dataPDUInOrder),
        flag(.dataSequenceInOrder, [true], \.dataSequenceInOrder, \.dataSequenceInOrder),
        number(.defaultTime2Wait, 0...3600, \.defaultTime2Wait, \.defaultTime2Wait),
        // Not 0: see `WantedParameters.defaultTime2Retain`.
        number(.defaultTime2Retain, 1...3600, \.defaultTime2Retain, \.defaultTime2Retain),
        // Of use only where paths are connections of one session: see `wantedParameters`.
        number(.errorRecoveryLevel, 0...2, \.errorRecoveryLevel, \.errorRecoveryLevel),
        // 1 where each path has a session of its own; otherwise 1 stands for as many as there can be paths.
        number(
            .maxConnections, 1...Int(TargetPaths.capacity), \.maxConnections, \.maxConnections),
        // Never offered: nothing that they bring is used. A target that proposes them is answered so.
        fixed(.taskReporting) { _ in "RFC3720" },
        fixed(.iscsiProtocolLevel) { "\($0.iscsiProtocolLevel)" },
    ]

    private typealias Wanted<Value> = any WritableKeyPath<WantedParameters, Value> & Sendable
    private typealias Result<Value> = any KeyPath<NegotiatedParameters, Value> & Sendable

    private static func digest(
        _ key: TextKey, _ wanted: Wanted<DigestPreference>, _ result: Result<Digest>
    ) -> SessionParameter {
        SessionParameter(
            key: key, values: .digest, text: { $0[keyPath: wanted].rawValue }, set: { _, _ in },
            negotiated: { "\($0[keyPath: result])" })
    }

    private static func fixed(
        _ key: TextKey, _ result: @escaping @Sendable (NegotiatedParameters) -> String
    ) -> SessionParameter {
        SessionParameter(
            key: key, values: .fixed, text: { $0.offer(key) ?? "" }, set: { _, _ in }, negotiated: result)
    }

    /// Whether section `[parameters]` has it.
    public var isConfigurable: Bool {
        switch values {
        case .flags, .number: true
        case .digest, .fixed: false
        }
    }

    private static func flag(
        _ key: TextKey, _ flags: [Bool], _ wanted: Wanted<Bool>, _ result: Result<Bool>
    ) -> SessionParameter {
        SessionParameter(
            key: key, values: .flags(flags), text: { TextValue.text($0[keyPath: wanted]) },
            set: { $0[keyPath: wanted] = $1 != 0 },
            negotiated: { TextValue.text($0[keyPath: result]) })
    }

    private static func number(
        _ key: TextKey, _ range: ClosedRange<Int>, _ wanted: Wanted<Int>, _ result: Result<Int>
    ) -> SessionParameter {
        SessionParameter(
            key: key, values: .number(range),
            text: { "\(min(max($0[keyPath: wanted], range.lowerBound), range.upperBound))" },
            set: { $0[keyPath: wanted] = $1 }, negotiated: { "\($0[keyPath: result])" })
    }

    /// What it may be set to, for people.
    public var allowed: String {
        switch values {
        case .flags(let flags): flags.map(TextValue.text).joined(separator: ", ")
        case .number(let range):
            range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
        case .digest: "None; None,CRC32C; CRC32C,None; CRC32C"
        case .fixed: text(WantedParameters())
        }
    }

    /// How the value follows from what both sides want (RFC 7143 §13), for people.
    public var rule: String {
        switch key.definition.result {
        case .minimum: "the lower one"
        case .maximum: "the higher one"
        case .and: "Yes if both want it"
        case .or: "Yes if either wants it"
        case .firstInList: "the first that both have"
        case .declarative: "each side its own"
        case .rejected: "no longer used"
        }
    }

    /// The names of keys that are wanted otherwise.
    public static func differences(_ a: WantedParameters, _ b: WantedParameters) -> [String] {
        all.filter { $0.text(a) != $0.text(b) }.map(\.key.name)
    }

    /// Takes a flag as 0 or 1. False if it is not among what it may be.
    public func set(_ number: Int, in wanted: inout WantedParameters) -> Bool {
        switch values {
        case .flags(let flags): guard number & ~1 == 0, flags.contains(number == 1) else { return false }
        case .number(let range): guard range.contains(number) else { return false }
        case .digest, .fixed: return false
        }
        set(&wanted, number)
        return true
    }
}

/// What `params` shows of a path, copied out of the lane: texts in the order of `SessionParameter.all`.
public struct PathParameters: Sendable {
    public var interface: String
    public var portal: String
    /// What the next login would offer.
    public var wanted: [String]
    /// Of the session that stands, or stood last; nil before the first.
    public var negotiated: [String]?
    /// How the latest login proved who the sides are.
    public var authentication: String?
}

extension Lane {
    /// What a login of the target offers now.
    func wantedParameters(_ target: Target) -> WantedParameters {
        var wanted = target.wanted
        for disk in target.disks {
            let settings = disks[Int(disk)].settings
            wanted.headerDigest = wanted.headerDigest.stronger(settings.headerDigest)
            wanted.dataDigest = wanted.dataDigest.stronger(settings.dataDigest)
        }
        wanted.maxRecvDataSegmentLength = min(
            wanted.maxRecvDataSegmentLength, settings.maxRecvDataSegmentLength)
        wanted.maxOutstandingR2T = min(wanted.maxOutstandingR2T, TransferQueue.capacity - 1)
        let most = wanted.maxConnections > 1 ? wanted.maxConnections : Int(TargetPaths.capacity)
        wanted.maxConnections = target.session == nil ? 1 : most
        // Without a second connection there is nobody to go on with the commands of the first.
        if target.session.map(\.recoveryIsRefused) ?? true { wanted.errorRecoveryLevel = 0 }
        if wanted.errorRecoveryLevel > 0 { wanted.maxOutstandingR2T = 1 }
        return wanted
    }

    /// nil when there is no such disk.
    public func parameters(of id: DiskID) -> [PathParameters]? {
        let index = id.rawValue
        guard index >= 0, Int(index) < disks.count, diskQueues[index].isInUse else { return nil }
        let target = targets[Int(disks[Int(index)].target)]
        let wanted = wantedParameters(target)
        return target.paths.map { index in
            let path = paths[Int(index)]
            return PathParameters(
                interface: path.specification.interface, portal: path.specification.portal,
                wanted: SessionParameter.all.map { $0.text(wanted) },
                negotiated: path.negotiated.map { result in
                    SessionParameter.all.map { $0.negotiated(result) }
                },
                authentication: path.negotiated?.authentication)
        }
    }
}
