/// Service actions of PERSISTENT RESERVE IN (SPC-4 §6.15.1), an open set.
public struct PersistentReserveInAction: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let readKeys = Self(rawValue: 0x00)
    public static let readReservation = Self(rawValue: 0x01)
    public static let reportCapabilities = Self(rawValue: 0x02)
    public static let readFullStatus = Self(rawValue: 0x03)
}

/// Service actions of PERSISTENT RESERVE OUT (SPC-4 §6.16.1), an open set.
public struct PersistentReserveOutAction: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let register = Self(rawValue: 0x00)
    public static let reserve = Self(rawValue: 0x01)
    public static let release = Self(rawValue: 0x02)
    public static let clear = Self(rawValue: 0x03)
    public static let preempt = Self(rawValue: 0x04)
    public static let preemptAndAbort = Self(rawValue: 0x05)
    public static let registerAndIgnoreExistingKey = Self(rawValue: 0x06)
    public static let registerAndMove = Self(rawValue: 0x07)
}

/// Persistent reservation types (SPC-4 §6.15.3.4), an open set.
public struct PersistentReservationType: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let writeExclusive = Self(rawValue: 0x1)
    public static let exclusiveAccess = Self(rawValue: 0x3)
    public static let writeExclusiveRegistrantsOnly = Self(rawValue: 0x5)
    public static let exclusiveAccessRegistrantsOnly = Self(rawValue: 0x6)
    public static let writeExclusiveAllRegistrants = Self(rawValue: 0x7)
    public static let exclusiveAccessAllRegistrants = Self(rawValue: 0x8)
}
