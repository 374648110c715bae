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

extension PersistentReservationType: CustomStringConvertible {
    /// The types by the names that people use.
    public static let named: [(name: String, type: Self)] = [
        ("write-exclusive", .writeExclusive),
        ("exclusive-access", .exclusiveAccess),
        ("write-exclusive-registrants-only", .writeExclusiveRegistrantsOnly),
        ("exclusive-access-registrants-only", .exclusiveAccessRegistrantsOnly),
        ("write-exclusive-all-registrants", .writeExclusiveAllRegistrants),
        ("exclusive-access-all-registrants", .exclusiveAccessAllRegistrants),
    ]

    public init?(named name: String) {
        guard let found = Self.named.first(where: { $0.name == name }) else { return nil }
        self = found.type
    }

    public var description: String {
        Self.named.first { $0.type == self }?.name ?? "type \(String(rawValue, radix: 16))h"
    }

    /// Only the nexus that made the reservation may write, whatever else is registered.
    public var hasOneNexus: Bool { self == .writeExclusive || self == .exclusiveAccess }

    /// Every registered nexus holds it, under a reservation key of zero (SPC-4 §5.9.10).
    public var isOfAllRegistrants: Bool {
        self == .writeExclusiveAllRegistrants || self == .exclusiveAccessAllRegistrants
    }
}

/// A reservation key (SPC-4 §5.9.7). Zero is none.
public struct ReservationKey: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt64
    @inline(__always) public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let none = Self(rawValue: 0)
}

extension ReservationKey: CustomStringConvertible {
    /// Hexadecimal with 0x, as other tools print it.
    public var description: String { "0x\(String(rawValue, radix: 16))" }

    /// - Parameter text: hexadecimal, with 0x or without; up to 16 digits, and not zero.
    public init?(parsing text: String) {
        let digits = text.hasPrefix("0x") || text.hasPrefix("0X") ? text.dropFirst(2) : Substring(text)
        guard !digits.isEmpty, digits.utf8.count <= 16, digits.first != "+", digits.first != "-",
            let value = UInt64(digits, radix: 16), value != 0
        else { return nil }
        rawValue = value
    }
}

/// The answer to READ KEYS (SPC-4 §6.15.2): one key for each registered nexus.
public struct RegisteredKeys: Equatable, Sendable {
    /// PRGENERATION: counts changes, those of other hosts too.
    public var generation: UInt32
    public var keys: [ReservationKey]
    /// The list is longer than the room that it was given.
    public var isTruncated: Bool

    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        guard bytes.byteCount >= 8 else {
            throw .truncated(.reservationKeys, need: 8, have: bytes.byteCount)
        }
        generation = bytes.uint32(orZeroAt: 0)
        let length = Int(bytes.uint32(orZeroAt: 4))
        guard length % 8 == 0 else { throw .malformed(.reservationKeys, offset: 4) }
        let present = min(length / 8, (bytes.byteCount - 8) / 8)
        keys = (0..<present).map { ReservationKey(rawValue: bytes.uint64(orZeroAt: 8 + 8 * $0)) }
        isTruncated = present < length / 8
    }

    public func count(of key: ReservationKey) -> Int { keys.count { $0 == key } }
}

/// The answer to READ RESERVATION (SPC-4 §6.15.3).
public struct PersistentReservation: Equatable, Sendable {
    public struct Holder: Equatable, Sendable {
        /// Zero where all registrants hold it.
        public var key: ReservationKey
        public var type: PersistentReservationType

        public init(key: ReservationKey, type: PersistentReservationType) {
            self.key = key
            self.type = type
        }

        /// Whether a host that is registered with `key` holds it.
        public func isHeld(by key: ReservationKey) -> Bool { self.key == key || type.isOfAllRegistrants }
    }

    public var generation: UInt32
    /// nil: the logical unit is not reserved.
    public var holder: Holder?

    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        guard bytes.byteCount >= 8 else { throw .truncated(.reservation, need: 8, have: bytes.byteCount) }
        generation = bytes.uint32(orZeroAt: 0)
        guard bytes.uint32(orZeroAt: 4) != 0 else {
            holder = nil
            return
        }
        guard bytes.byteCount >= 24 else { throw .truncated(.reservation, need: 24, have: bytes.byteCount) }
        holder = Holder(
            key: ReservationKey(rawValue: bytes.uint64(orZeroAt: 8)),
            type: PersistentReservationType(rawValue: bytes.uint8(orZeroAt: 21) & 0x0f))
    }
}

/// What a PERSISTENT RESERVE OUT command says (SPC-4 §6.16).
public struct PersistentReserveOrder: Equatable, BitwiseCopyable, Sendable {
    public var action: PersistentReserveOutAction
    public var type: PersistentReservationType?
    /// RESERVATION KEY: under which this nexus is registered.
    public var key: ReservationKey
    /// SERVICE ACTION RESERVATION KEY: the new one, or the victim's.
    public var actionKey: ReservationKey
    /// APTPL: registrations and reservation outlive a power loss of the target.
    public var persists: Bool

    public init(
        _ action: PersistentReserveOutAction, type: PersistentReservationType? = nil, key: ReservationKey,
        actionKey: ReservationKey = .none, persists: Bool = false
    ) {
        self.action = action
        self.type = type
        self.key = key
        self.actionKey = actionKey
        self.persists = persists
    }

    public var command: CommandDescriptorBlock { .persistentReserveOut(action, type: type) }

    /// The basic parameter list, 24 bytes as three big-endian words; APTPL is bit 0 of byte 20.
    var parameterWords: (UInt64, UInt64, UInt64) {
        (
            key.rawValue.bigEndian, actionKey.rawValue.bigEndian,
            (persists ? UInt64(1) << 24 : 0).bigEndian
        )
    }
}
