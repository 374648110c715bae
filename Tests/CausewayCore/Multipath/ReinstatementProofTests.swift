import Testing

@testable import CausewayCore

@Suite struct ReinstatementProofTests {
    @Test func theKernelsTargetWaitsAndGetsNoOrderedCommand() {
        #expect(ReinstatementProof(targetAlias: "LIO Target", vendor: nil) == .waitsForTasks)
        // An alias of the administrator's, seen before by its LUNs.
        #expect(ReinstatementProof(targetAlias: "store 1", vendor: "LIO-ORG") == .waitsForTasks)
        // An appliance with a vendor of its own.
        #expect(ReinstatementProof(targetAlias: "LIO Target", vendor: "SYNOLOGY") == .waitsForTasks)
    }

    @Test func whatIsNotKnownHasToShowIt() {
        #expect(ReinstatementProof(targetAlias: nil, vendor: nil) == .needsBarrier)
        #expect(ReinstatementProof(targetAlias: nil, vendor: "IET") == .needsBarrier)
    }
}
