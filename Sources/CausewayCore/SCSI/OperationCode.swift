/// The first byte of a command descriptor block (SPC-4 §4.2.5.1), an open set.
public struct OperationCode: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let testUnitReady = OperationCode(rawValue: 0x00)
    public static let inquiry = OperationCode(rawValue: 0x12)
    public static let modeSense6 = OperationCode(rawValue: 0x1a)
    public static let unmap = OperationCode(rawValue: 0x42)
    public static let modeSense10 = OperationCode(rawValue: 0x5a)
    public static let persistentReserveIn = OperationCode(rawValue: 0x5e)
    public static let persistentReserveOut = OperationCode(rawValue: 0x5f)
    public static let read16 = OperationCode(rawValue: 0x88)
    public static let write16 = OperationCode(rawValue: 0x8a)
    public static let synchronizeCache16 = OperationCode(rawValue: 0x91)
    public static let writeSame16 = OperationCode(rawValue: 0x93)
    /// SERVICE ACTION IN(16): the five low bits of byte 1 tell the command.
    public static let serviceActionIn16 = OperationCode(rawValue: 0x9e)
    public static let reportLUNs = OperationCode(rawValue: 0xa0)
    /// MAINTENANCE IN: the five low bits of byte 1 tell the command.
    public static let maintenanceIn = OperationCode(rawValue: 0xa3)
    /// MAINTENANCE OUT: the five low bits of byte 1 tell the command.
    public static let maintenanceOut = OperationCode(rawValue: 0xa4)
}
