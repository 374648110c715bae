import CausewayControl
import CausewayCore

/// What udev is told of a kernel device: an NBD disk has no SCSI pages of its own that a rule could ask for.
///
/// The properties bear the names that `scsi_id` gives a SCSI disk, so that whoever looks for `ID_SERIAL` or
/// `ID_WWN` finds them. Values come from a target or a user, so everything but letters, digits and a few
/// marks becomes an underscore: nothing can end a line, a quote or the name of a link.
struct DeviceProperties: Equatable {
    /// `KEY=VALUE`, one a line, for `IMPORT{file}`.
    let properties: String
    /// Names under `/dev`, separated by blanks, as `SYMLINK` takes them.
    let links: String

    /// - Parameters:
    ///   - portals: `address:port` of each path.
    ///   - unitSerial: VPD page 0x80, where there is one.
    init(
        name: DiskName, target: ISCSIName, lun: UInt64, portals: [String], inquiry: InquiryData,
        unitSerial: TargetText?, identity: LogicalUnitIdentity
    ) {
        let serial = Self.safe(identity.multipathWWID ?? identity.wwid)
        let iqn = Self.safe(target.text)
        var lines = [
            "CAUSEWAY_NAME=\(name)",
            "CAUSEWAY_TARGET=\(iqn)",
            "CAUSEWAY_LUN=\(lun)",
            "ID_BUS=scsi",
            "ID_TYPE=disk",
            "ID_VENDOR=\(Self.safe(inquiry.vendor.description))",
            "ID_MODEL=\(Self.safe(inquiry.product.description))",
            "ID_REVISION=\(Self.safe(inquiry.revision.description))",
            "ID_SERIAL=\(serial)",
            // Without the digit that says what kind of name it is.
            "ID_SERIAL_SHORT=\(identity.multipathWWID == nil ? serial : String(serial.dropFirst()))",
        ]
        if let text = unitSerial?.description, !text.isEmpty {
            lines.append("ID_SCSI_SERIAL=\(Self.safe(text))")
        }
        var names = ["disk/by-id/scsi-\(serial)"]
        if identity.isNetworkAddressAuthority {
            let digits = serial.dropFirst()
            lines.append("ID_WWN=0x\(digits.prefix(16))")
            if digits.count > 16 { lines.append("ID_WWN_VENDOR_EXTENSION=0x\(digits.dropFirst(16))") }
            lines.append("ID_WWN_WITH_EXTENSION=0x\(digits)")
            names.append("disk/by-id/wwn-0x\(digits)")
        }
        var room = Self.linkBytes - names.reduce(0) { $0 + $1.utf8.count + Self.partBytes }
        for portal in Set(portals).sorted() {
            let address = Self.safe(portal.filter { $0 != "[" && $0 != "]" })
            let name = "disk/by-path/ip-\(address)-iscsi-\(iqn)-lun-\(lun)"
            room -= name.utf8.count + Self.partBytes
            guard room >= 0 else { break }
            names.append(name)
        }
        properties = lines.joined(separator: "\n") + "\n"
        links = names.joined(separator: " ") + "\n"
    }

    /// udev takes no link at all where all of them together have more bytes.
    private static let linkBytes = 1000
    /// `-part128` and what separates it from the next.
    private static let partBytes = 9

    /// Blanks at the ends go, runs of anything that udev or a shell might take for more than text become one
    /// underscore.
    static func safe(_ text: String) -> String {
        var safe = ""
        var isGap = false
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: ":"), UInt8(ascii: "+"), UInt8(ascii: "@"), UInt8(ascii: "_"):
                if isGap && !safe.isEmpty { safe.append("_") }
                isGap = false
                safe.unicodeScalars.append(Unicode.Scalar(byte))
            default: isGap = true
            }
        }
        return safe
    }
}

extension LogicalUnitIdentity {
    /// A name that NAA gives: what a SCSI disk has for a world wide name.
    fileprivate var isNetworkAddressAuthority: Bool {
        switch kind {
        case .naaExtended, .naa, .naaLocal: true
        case .eui64, .uuid, .nameString, .t10VendorID: false
        }
    }
}
