import Testing

@testable import CausewayCore

@Suite struct TargetPortGroupsTests {
    static let descriptors: [UInt8] = [
        0x80,  // PREF, active/optimized
        0xcf,  // T_SUP, O_SUP, U_SUP, S_SUP, AN_SUP, AO_SUP
        0x00, 0x00,  // TARGET PORT GROUP
        0x00, 0x01, 0x00,  // STATUS CODE
        0x02,  // TARGET PORT COUNT
        0, 0, 0x00, 0x01,  // RELATIVE TARGET PORT IDENTIFIER
        0, 0, 0x00, 0x02,
        0x02,  // standby
        0x05, 0x01, 0x10, 0x00, 0x02, 0x00, 0x01,
        0, 0, 0x00, 0x03,
    ]
    static let normal: [UInt8] = [0x00, 0x00, 0x00, 0x1c] + descriptors  // RETURN DATA LENGTH
    static let extended: [UInt8] =
        [
            0x00, 0x00, 0x00, 0x20,  // RETURN DATA LENGTH
            0x10,  // FORMAT TYPE 001b
            0x1e,  // IMPLICIT TRANSITION TIME: 30 s
            0x00, 0x00,
        ] + descriptors

    private let groups = [
        TargetPortGroup(
            group: 0, state: .activeOptimized, isPreferred: true,
            supportedStates: [
                .activeOptimized, .activeNonOptimized, .standby, .unavailable, .offline, .transitioning,
            ],
            statusCode: 1, ports: [1, 2]),
        TargetPortGroup(
            group: 0x110, state: .standby, isPreferred: false, supportedStates: [.activeOptimized, .standby],
            statusCode: 2, ports: [3]),
    ]

    @Test func normalHeader() throws {
        let data = try parsed(Self.normal, by: TargetPortGroups.init)
        #expect(data.groups == groups)
        #expect(data.implicitTransitionTimeSeconds == nil)
        #expect(data[0x110]?.state == .standby)
        #expect(data[7] == nil)
    }

    @Test func extendedHeader() throws {
        let data = try parsed(Self.extended, by: TargetPortGroups.init)
        #expect(data.groups == groups)
        #expect(data.implicitTransitionTimeSeconds == 30)
    }

    @Test func noGroups() throws {
        let bytes: [UInt8] = [0, 0, 0, 0]
        #expect(try parsed(bytes, by: TargetPortGroups.init).groups.isEmpty)
    }

    @Test func portsBeyondTheDataAreRefused() {
        var bytes = Self.normal
        bytes[11] = 0xff
        #expect(throws: SCSIDataError.malformed(.targetPortGroups, offset: 4)) {
            try parsed(bytes, by: TargetPortGroups.init)
        }
    }

    @Test func statesHaveNames() {
        #expect(AccessState.activeNonOptimized.description == "active/non-optimized")
        #expect(AccessState(rawValue: 0x5).description == "access state 5h")
    }
}
