/// What a logical unit is called on every path and every host: one designator of association "logical unit".
public struct LogicalUnitIdentity: Hashable, Sendable {
    /// From the weakest to the best. NAA 6 comes first, as in the Linux kernel and in multipath-tools; names
    /// that their maker only promises to be unique come last.
    public enum Kind: Int, Comparable, Sendable {
        /// T10 vendor identification: the vendor and a text of its choice.
        case t10VendorID
        /// NAA 3, locally assigned: unique at one site if its administrator saw to it.
        case naaLocal
        /// SCSI name string (iSCSI names and the text forms of the others).
        case nameString
        case uuid
        case eui64
        /// NAA 2 and 5, eight bytes, registered with the IEEE.
        case naa
        /// NAA 6, sixteen bytes, registered with the IEEE.
        case naaExtended

        public static func < (a: Kind, b: Kind) -> Bool { a.rawValue < b.rawValue }

        public var isUniqueWorldwide: Bool { self > .naaLocal }
    }

    public let kind: Kind
    /// The designator's bytes; of text without padding, of a UUID its sixteen bytes alone.
    public let bytes: [UInt8]

    /// Nil for a designator that does not name the logical unit, or has not the length or code set that the
    /// standard gives its kind (SPC-4 §7.8.6.2 onwards).
    public init?(_ designator: Designator) {
        guard designator.association == .logicalUnit else { return nil }
        let bytes = designator.bytes
        let isBinary = designator.codeSet == .binary
        switch (designator.kind, bytes.count) {
        case (.naa, 16) where isBinary && bytes[0] >> 4 == 6: self.init(.naaExtended, bytes)
        case (.naa, 8) where isBinary && bytes[0] >> 4 == 3: self.init(.naaLocal, bytes)
        case (.naa, 8) where isBinary && [2, 5].contains(bytes[0] >> 4): self.init(.naa, bytes)
        case (.eui64, 8), (.eui64, 12), (.eui64, 16):
            guard isBinary else { return nil }
            self.init(.eui64, bytes)
        // SPC-5 §7.7.6.12: byte 0 holds 1 in its upper half, byte 1 is reserved.
        case (.uuid, 18) where isBinary && bytes[0] >> 4 == 1: self.init(.uuid, Array(bytes[2...]))
        case (.scsiNameString, 1...) where designator.codeSet == .utf8:
            self.init(.nameString, TargetText(bytes).bytes)
        // Eight bytes of vendor alone name no unit.
        case (.t10VendorID, 9...): self.init(.t10VendorID, TargetText(bytes).bytes)
        default: return nil
        }
    }

    private init?(_ kind: Kind, _ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return nil }
        self.kind = kind
        self.bytes = bytes
    }
}

extension LogicalUnitIdentity: CustomStringConvertible {
    /// The form of `/sys/block/sdX/device/wwid`: `naa.6001405…`, `eui.…`, `t10.…`, or the name string as it
    /// is. Text is escaped as ``TargetText`` does.
    public var wwid: String {
        switch kind {
        case .naaExtended, .naa, .naaLocal: "naa." + bytes.hexadecimalDigits
        case .eui64: "eui." + bytes.hexadecimalDigits
        case .uuid: "uuid." + bytes.hexadecimalDigits
        case .nameString: TargetText(bytes).description
        case .t10VendorID: "t10." + TargetText(bytes).description
        }
    }

    /// The form that `scsi_id`, `multipath` and `ID_SERIAL` of udev use: the designator type's digit, then
    /// the name, as in `36001405…`. Nil for a UUID, which `scsi_id` does not know.
    public var multipathWWID: String? {
        switch kind {
        case .naaExtended, .naa, .naaLocal: "3" + bytes.hexadecimalDigits
        case .eui64: "2" + bytes.hexadecimalDigits
        case .uuid: nil
        case .nameString: "8" + TargetText(bytes).description
        case .t10VendorID: "1" + underscored
        }
    }

    /// Runs of blanks become one underscore, as `scsi_id` writes text.
    private var underscored: String {
        TargetText(bytes).description.split(separator: " ").joined(separator: "_")
    }

    public var description: String { wwid }
}
