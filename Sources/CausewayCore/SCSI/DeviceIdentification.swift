/// One designation descriptor of VPD page 83h (SPC-4 §7.8.6.1): a name for the logical unit, for the target
/// port that answered, or for the target device.
public struct Designator: Hashable, Sendable {
    /// What the designator names, an open set.
    public struct Association: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
        public var rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue & 0x03 }
        public static let logicalUnit = Self(rawValue: 0)
        public static let targetPort = Self(rawValue: 1)
        public static let targetDevice = Self(rawValue: 2)
    }

    /// The DESIGNATOR TYPE, an open set.
    public struct Kind: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
        public var rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue & 0x0f }
        public static let vendorSpecific = Self(rawValue: 0x0)
        public static let t10VendorID = Self(rawValue: 0x1)
        public static let eui64 = Self(rawValue: 0x2)
        public static let naa = Self(rawValue: 0x3)
        public static let relativeTargetPort = Self(rawValue: 0x4)
        public static let targetPortGroup = Self(rawValue: 0x5)
        public static let logicalUnitGroup = Self(rawValue: 0x6)
        public static let md5 = Self(rawValue: 0x7)
        public static let scsiNameString = Self(rawValue: 0x8)
        public static let protocolSpecificPort = Self(rawValue: 0x9)
        public static let uuid = Self(rawValue: 0xa)
    }

    /// The CODE SET of `bytes`, an open set.
    public struct CodeSet: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
        public var rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue & 0x0f }
        public static let binary = Self(rawValue: 1)
        public static let ascii = Self(rawValue: 2)
        public static let utf8 = Self(rawValue: 3)
    }

    public var association: Association
    public var kind: Kind
    public var codeSet: CodeSet
    public var bytes: [UInt8]

    public init(association: Association, kind: Kind, codeSet: CodeSet, bytes: [UInt8]) {
        self.association = association
        self.kind = kind
        self.codeSet = codeSet
        self.bytes = bytes
    }
}

/// VPD page 83h, Device Identification (SPC-4 §7.8.6): everything that the logical unit and the target port
/// call themselves.
public struct DeviceIdentification: Equatable, Sendable {
    public var designators: [Designator]

    public init(designators: [Designator]) {
        self.designators = designators
    }

    /// Throws unless the page is whole: with designators missing, another one would be taken for the
    /// identity.
    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        let end = try VitalProductDataPage.deviceIdentification.wholeEnd(in: bytes)
        designators = []
        var offset = 4
        while offset < end {
            let length = Int(bytes.uint8(orZeroAt: offset + 3))
            guard offset + 4 + length <= end else { throw .malformed(.vitalProductData, offset: offset) }
            designators.append(
                Designator(
                    association: .init(rawValue: bytes.uint8(orZeroAt: offset + 1) >> 4),
                    kind: .init(rawValue: bytes.uint8(orZeroAt: offset + 1)),
                    codeSet: .init(rawValue: bytes.uint8(orZeroAt: offset)),
                    bytes: bytes.copy(offset + 4..<offset + 4 + length)))
            offset += 4 + length
        }
    }

    /// The RELATIVE TARGET PORT IDENTIFIER of the port that answered.
    public var relativeTargetPort: UInt16? { portNumber(.relativeTargetPort) }

    /// The TARGET PORT GROUP of the port that answered: the key into ``TargetPortGroups``.
    public var targetPortGroup: UInt16? { portNumber(.targetPortGroup) }

    /// Both are four bytes, the number in the last two.
    private func portNumber(_ kind: Designator.Kind) -> UInt16? {
        let found = designators.first {
            $0.kind == kind && $0.association == .targetPort && $0.bytes.count == 4
        }
        return found.map { UInt16($0.bytes[2]) << 8 | UInt16($0.bytes[3]) }
    }

    /// Every usable name of the logical unit, the best first. Within a kind the longest, then the smallest in
    /// byte order, so that the order in which a target lists them does not matter.
    public var identities: [LogicalUnitIdentity] {
        designators.compactMap(LogicalUnitIdentity.init).sorted { a, b in
            if a.kind != b.kind { return a.kind > b.kind }
            if a.bytes.count != b.bytes.count { return a.bytes.count > b.bytes.count }
            return a.bytes.lexicographicallyPrecedes(b.bytes)
        }
    }

    /// The best name of the logical unit; nil where the page names none.
    public var identity: LogicalUnitIdentity? { identities.first }

    /// Whether both pages name one logical unit. They are compared by the best kind of name that both have; a
    /// name that is not unique worldwide counts only where neither side has a better one. Two pages without a
    /// name are never the same unit: nothing proves it.
    public func identifies(sameLogicalUnitAs other: DeviceIdentification) -> Bool {
        let mine = identities
        let others = other.identities
        guard let best = mine.first, let otherBest = others.first else { return false }
        if best.kind == otherBest.kind { return best == otherBest }
        for identity in mine where identity.kind.isUniqueWorldwide {
            if let match = others.first(where: { $0.kind == identity.kind }) { return match == identity }
        }
        return false
    }
}
