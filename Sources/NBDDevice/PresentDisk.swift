/// A disk that this machine has by another way than Causeway.
public struct PresentDisk: Equatable, Sendable {
    /// The kernel's name, such as `sdb`.
    public var name: String
    /// `naa.6001405…`, `eui.…`, `t10.…`: what the kernel made of VPD page 0x83.
    public var wwid: String

    public var node: String { "/dev/\(name)" }

    /// The SCSI disk whose WWID is one of `wwids`, or nil. Reads sysfs only: no device is opened.
    public static func find(wwids: Set<String>, in system: SystemRoot = .live) -> PresentDisk? {
        let folder = system.sysfs + "/block"
        for name in SystemFile.names(in: folder) {
            guard let text = (try? SystemFile.read("\(folder)/\(name)/device/wwid")) ?? nil else { continue }
            if wwids.contains(text) { return PresentDisk(name: name, wwid: text) }
        }
        return nil
    }
}
