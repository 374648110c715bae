/// How well a target port group reaches a logical unit: the ASYMMETRIC ACCESS STATE (SPC-4 §5.15.2), an open
/// set.
public struct AccessState: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt8
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue & 0x0f }

    public static let activeOptimized = Self(rawValue: 0x0)
    public static let activeNonOptimized = Self(rawValue: 0x1)
    public static let standby = Self(rawValue: 0x2)
    public static let unavailable = Self(rawValue: 0x3)
    public static let lbaDependent = Self(rawValue: 0x4)
    public static let offline = Self(rawValue: 0xe)
    public static let transitioning = Self(rawValue: 0xf)
}

extension AccessState: CustomStringConvertible {
    public var description: String {
        switch self {
        case .activeOptimized: "active/optimized"
        case .activeNonOptimized: "active/non-optimized"
        case .standby: "standby"
        case .unavailable: "unavailable"
        case .lbaDependent: "LBA dependent"
        case .offline: "offline"
        case .transitioning: "transitioning"
        default: "access state \(String(rawValue, radix: 16))h"
        }
    }
}

/// One target port group descriptor (SPC-4 §6.37).
public struct TargetPortGroup: Equatable, Sendable {
    /// States that the group can take (byte 1 of the descriptor).
    public struct SupportedStates: OptionSet, Hashable, BitwiseCopyable, Sendable {
        public var rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let activeOptimized = Self(rawValue: 1 << 0)
        public static let activeNonOptimized = Self(rawValue: 1 << 1)
        public static let standby = Self(rawValue: 1 << 2)
        public static let unavailable = Self(rawValue: 1 << 3)
        public static let lbaDependent = Self(rawValue: 1 << 4)
        public static let offline = Self(rawValue: 1 << 6)
        public static let transitioning = Self(rawValue: 1 << 7)
    }

    /// TARGET PORT GROUP: what ``DeviceIdentification/targetPortGroup`` names.
    public var group: UInt16
    public var state: AccessState
    /// PREF: the target would have its I/O go through this group.
    public var isPreferred: Bool
    public var supportedStates: SupportedStates
    /// STATUS CODE: 0 none, 1 state set by SET TARGET PORT GROUPS, 2 by the target itself.
    public var statusCode: UInt8
    /// RELATIVE TARGET PORT IDENTIFIERs of the group's ports.
    public var ports: [UInt16]
}

/// The answer to REPORT TARGET PORT GROUPS (SPC-4 §6.37), with either parameter data format.
public struct TargetPortGroups: Equatable, Sendable {
    public var groups: [TargetPortGroup]
    /// IMPLICIT TRANSITION TIME of the extended header, in seconds: how long a transition may take. Nil where
    /// the target does not say.
    public var implicitTransitionTimeSeconds: UInt8?

    /// Throws unless every group is whole: a path whose group is missing would be judged wrongly.
    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        guard bytes.byteCount >= 4 else {
            throw .truncated(.targetPortGroups, need: 4, have: bytes.byteCount)
        }
        let end = 4 + Int(bytes.uint32(orZeroAt: 0))
        guard end <= bytes.byteCount else {
            throw .truncated(.targetPortGroups, need: end, have: bytes.byteCount)
        }
        groups = []
        var offset = 4
        // Bits 6:4 are 001b in an extended header and reserved in a descriptor, so the data tell their own
        // format.
        if end >= 8, bytes.uint8(orZeroAt: 4) & 0x70 == 0x10 {
            let seconds = bytes.uint8(orZeroAt: 5)
            implicitTransitionTimeSeconds = seconds == 0 ? nil : seconds
            offset = 8
        }
        while offset < end {
            guard offset + 8 <= end else { throw .malformed(.targetPortGroups, offset: offset) }
            let portCount = Int(bytes.uint8(orZeroAt: offset + 7))
            guard offset + 8 + 4 * portCount <= end else {
                throw .malformed(.targetPortGroups, offset: offset)
            }
            let first = bytes.uint8(orZeroAt: offset)
            groups.append(
                TargetPortGroup(
                    group: bytes.uint16(orZeroAt: offset + 2), state: AccessState(rawValue: first),
                    isPreferred: first & 0x80 != 0,
                    supportedStates: .init(rawValue: bytes.uint8(orZeroAt: offset + 1)),
                    statusCode: bytes.uint8(orZeroAt: offset + 5),
                    ports: (0..<portCount).map { bytes.uint16(orZeroAt: offset + 10 + 4 * $0) }))
            offset += 8 + 4 * portCount
        }
    }

    /// The group by its number.
    public subscript(group: UInt16) -> TargetPortGroup? { groups.first { $0.group == group } }
}
