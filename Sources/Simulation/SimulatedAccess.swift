/// The asymmetric access of a LUN (SPC-4 §5.15): the states of its target port groups.
final class SimulatedAccess {
    /// By target port group.
    private(set) var states: [UInt16: UInt8]
    var preferred: UInt16?
    let knowsExtendedHeader: Bool
    let miscounts: Bool
    /// Implicit transition time of the extended header, seconds.
    let transitionSeconds: UInt8
    private var change = 0
    /// Something has changed: every session is to be told.
    var onChange: () -> Void = {}

    static let transitioning: UInt8 = 0xf

    init(groups: Set<UInt16>, knowsExtendedHeader: Bool, miscounts: Bool, transitionSeconds: UInt8) {
        states = Dictionary(uniqueKeysWithValues: groups.map { ($0, 0) })
        self.knowsExtendedHeader = knowsExtendedHeader
        self.miscounts = miscounts
        self.transitionSeconds = transitionSeconds
    }

    /// New states, after a transition of those groups that change.
    func set(_ wanted: [UInt16: UInt8], after nanoseconds: UInt64, _ timeline: Timeline) {
        change += 1
        let number = change
        for (group, state) in wanted where states[group] != state {
            states[group] = nanoseconds > 0 ? Self.transitioning : state
        }
        onChange()
        guard nanoseconds > 0 else { return }
        timeline.after(nanoseconds) { [weak self] in
            guard let self, change == number else { return }
            for (group, state) in wanted { states[group] = state }
            onChange()
        }
    }

    /// How a command that comes through a port of `group` is refused; nil if it is taken.
    func refusal(_ cdb: [UInt8], group: UInt16) -> Sense? {
        let isAlways = [0x12, 0xa0, 0xa3, 0xa4].contains(cdb[0])
        switch states[group] ?? 0 {
        case 0, 1, 4: return nil
        case 2: return isAlways || [0x1a, 0x9e].contains(cdb[0]) ? nil : .standby
        case 0xe: return isAlways ? nil : .offline
        case Self.transitioning: return isAlways ? nil : .transition
        default: return isAlways ? nil : .unavailable
        }
    }

    func report(_ cdb: [UInt8], portsOf: [UInt16: [Int]]) -> Outcome {
        let isExtended = cdb[1] & 0x20 != 0
        guard !isExtended || knowsExtendedHeader else { return .check(.invalidField) }
        var bytes: [UInt8] = [0, 0, 0, 0]
        if isExtended { bytes += [0x10, transitionSeconds, 0, 0] }
        for (group, state) in states.sorted(by: { $0.key < $1.key }) {
            let ports = portsOf[group] ?? []
            bytes += [state | (preferred == group ? 0x80 : 0), 0x8f]
            bytes.append(UInt64(group), bytes: 2)
            bytes += [0, 2, 0, UInt8(ports.count)]
            for port in ports { bytes += [0, 0, 0, UInt8(port + 1)] }
        }
        // As Linux 6.1 does it: the extended header is not counted, and the end is missing for it.
        if isExtended && miscounts { bytes.removeLast(4) }
        bytes.put(UInt64(bytes.count - 4), 0, bytes: 4)
        return .good(bytes)
    }

    /// SET TARGET PORT GROUPS: the group asked for is made active, the others serve on as second best.
    func set(_ data: [UInt8], _ timeline: Timeline, transition: UInt64) -> Outcome {
        guard data.count == 8, data[4] & 0x0f == 0 else { return .check(.invalidField) }
        let group = UInt16(data.field(6, bytes: 2))
        guard states[group] != nil else { return .check(.invalidField) }
        var wanted = states.mapValues { $0 == 0 ? 1 : $0 }
        wanted[group] = 0
        set(wanted, after: transition, timeline)
        return .good([])
    }
}
