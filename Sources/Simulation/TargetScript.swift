public import CausewayCore

/// A target that lies: on one portal, a script sees each PDU before it is sent and says what goes out in its
/// place.
public final class TargetScript {
    let portal: Int
    private let change: (ScriptedPDU) -> [ScriptedPDU]
    public var isArmed = true

    /// - Parameter change: what is sent in the place of a PDU: itself, another, several or nothing.
    public init(portal: Int, _ change: @escaping (ScriptedPDU) -> [ScriptedPDU]) {
        self.portal = portal
        self.change = change
    }

    func tell(_ pdu: ScriptedPDU) -> [ScriptedPDU] { isArmed ? change(pdu) : [pdu] }
}

/// A PDU of the target; the header's DataSegmentLength may say something else than the data have.
public struct ScriptedPDU: Equatable {
    public var header: BasicHeaderSegment
    public var data: [UInt8]

    public init(header: BasicHeaderSegment, data: [UInt8]) {
        self.header = header
        self.data = data
    }

    public static func == (a: ScriptedPDU, b: ScriptedPDU) -> Bool {
        a.data == b.data && (0..<12).allSatisfy { a.header[$0] == b.header[$0] }
    }
}
