public struct SenseData: BitwiseCopyable, Sendable { public var key: SenseKey; public var additional: AdditionalSense; init?(_ b: UnsafeRawBufferPointer) { return nil } }
public struct AdditionalSense: BitwiseCopyable, Equatable, Sendable { static let logicalUnitNotSupported = AdditionalSense() }
enum ErrorClass { case good, retry, retryAfterDelay, pathError, deviceError, spaceExhausted, reservationConflict }
struct RefreshHints: OptionSet { var rawValue: UInt16; static let targetRestarted = RefreshHints(rawValue: 1); static let inquiry = RefreshHints(rawValue: 2); static let capacity = RefreshHints(rawValue: 4); static let logicalUnitList = RefreshHints(rawValue: 8); static let modeParameters = RefreshHints(rawValue: 16) }
struct Verdict { var errorClass: ErrorClass; var hints: RefreshHints }
func classify(status: SCSIStatus, sense: SenseData?) -> Verdict { Verdict(errorClass: .good, hints: []) }
public struct LogicalUnitNumber: Sendable { public var field: UInt64 }
public enum SCSIDataError: Error { case x }
struct StandardInquiry { var vendor = "", product = "", revision = ""; var isConnected = true, isDirectAccess = true; var deviceType = 0; init(_ b: [UInt8]) throws(SCSIDataError) {} }
struct SupportedPages { var codes: [UInt8] = []; init(_ b: [UInt8]) throws(SCSIDataError) {} }
public struct DeviceIdentification: Sendable { var best: D? ; struct D: Sendable { var wwid = "" }; init(_ b: [UInt8]) throws(SCSIDataError) {}; func identifies(sameLogicalUnitAs: DeviceIdentification) -> Bool { true } }
struct UnitSerialNumber { var text = ""; init(_ b: [UInt8]) throws(SCSIDataError) {} }
struct ReadCapacity16 { var isProvisioningManaged = false; init(_ b: [UInt8]) throws(SCSIDataError) {} }
struct BlockLimits { init(_ b: [UInt8]) throws(SCSIDataError) {} }
struct BlockDeviceCharacteristics { init(_ b: [UInt8]) throws(SCSIDataError) {} }
struct LogicalBlockProvisioning { init(_ b: [UInt8]) throws(SCSIDataError) {} }
struct ModeParameters { init(_ b: [UInt8]) throws(SCSIDataError) {} }
struct LogicalUnitPages { var blockLimits: BlockLimits?; var characteristics: BlockDeviceCharacteristics?; var provisioning: LogicalBlockProvisioning?; var caching: ModeParameters?; var control: ModeParameters? }
public struct LogicalUnitLimits: Sendable { var logicalBlockLength: UInt32 = 512; var sizeBytes: UInt64 = 0; var isWriteProtected = false, isWriteCacheEnabled = false, supportsFUA = false, isRotational = false; var maxTransferBlocks: UInt32?; init(capacity: ReadCapacity16, pages: LogicalUnitPages) {} }
struct LBAStatusX { var lba: UInt64; var blocks: UInt32; var isDeallocated: Bool }
func parseLBAStatus(_ b: [UInt8]) throws(SCSIDataError) -> [LBAStatusX] { [] }
public enum ModePage: UInt8 { case caching = 8, control = 10 }
public enum VitalProductDataPage: UInt8 { case supportedPages, unitSerialNumber, deviceIdentification, blockLimits, blockDeviceCharacteristics, logicalBlockProvisioning }
extension UInt32 { var hexadecimalDigits: String { "" } }
extension UInt8 { var hexadecimalDigits: String { "" } }
extension LogicalUnitLimits { var unmapLimits: UnmapLimits { UnmapLimits() }; var writeSameLimits: WriteSameLimits { WriteSameLimits() } }
