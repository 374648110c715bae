/// All samples of a run.
struct Measurements {
    struct Cell: Hashable {
        var medium: Medium
        var workload: Workload
        var contestant: Contestant
    }

    /// By cell, then by round: a turn that failed leaves a gap, so that rounds stay comparable.
    private var samples: [Cell: [Int: Sample]] = [:]
    /// What went wrong or was left out, in words, in the order in which it happened.
    private(set) var notes: [String] = []
    private(set) var hasFailed = false

    mutating func add(_ sample: Sample, to cell: Cell, round: Int) {
        samples[cell, default: [:]][round] = sample
    }
    mutating func note(_ text: String) { notes.append(text) }
    mutating func fail(_ text: String) {
        notes.append(text)
        hasFailed = true
    }

    func hasSample(of workload: Workload, on medium: Medium) -> Bool {
        samples.keys.contains { $0.workload == workload && $0.medium == medium }
    }
    func rounds(of cell: Cell) -> [Sample] {
        samples[cell, default: [:]].sorted { $0.key < $1.key }.map(\.value)
    }

    /// The median over the rounds of `figure` of `cell` divided by that of `other`. Pairs of one round were
    /// measured within seconds of each other, so what else the machine did falls out of the quotient.
    func ratio(of cell: Cell, to other: Contestant, _ figure: (Sample) -> Double) -> Double? {
        var base = cell
        base.contestant = other
        guard let ours = samples[cell], let theirs = samples[base] else { return nil }
        let ratios = ours.compactMap { round, sample in
            theirs[round].flatMap { figure($0) > 0 ? figure(sample) / figure($0) : nil }
        }
        return ratios.isEmpty ? nil : ratios.median
    }

    /// CPU per I/O as a multiple of the stick's; nil without a stick.
    func cpuToStick(_ cell: Cell) -> Double? { ratio(of: cell, to: .stick, \.cpuPerIO) }
    /// IOPS as a multiple of qemu-nbd's; nil without qemu-nbd.
    func throughputToQEMU(_ cell: Cell) -> Double? { ratio(of: cell, to: .qemuNBD, \.iops) }
}
