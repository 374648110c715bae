import CausewayCore
import Glibc
import Simulation

/// `Simulator [--seeds N] [--start S] [--jobs J] [--verbose]` runs N histories;
/// `Simulator --seed S [--trace]` runs one and shows it. `--connections` makes the paths of each history
/// connections of one session. The exit status is 1 if a history failed. With
/// `--without barrier`, `fence` or `records` that safeguard is left out, and it is 1 if no history failed.
struct Arguments {
    var seeds: UInt64 = 100
    var start: UInt64 = 1
    var jobs = 2
    var seed: UInt64?
    var isTracing = false
    var missing: Safeguard?
    var multipathing = Multipathing.sessions
    /// Names each seed before it runs: after a trap, the last ones are the culprits.
    var isVerbose = false

    init?(_ words: ArraySlice<String>) {
        var words = words
        while let word = words.popFirst() {
            if word == "--trace" {
                isTracing = true
            } else if word == "--verbose" {
                isVerbose = true
            } else if word == "--connections" {
                multipathing = .connections
            } else if word == "--without" {
                guard let safeguard = words.popFirst().flatMap(Safeguard.init) else { return nil }
                missing = safeguard
            } else {
                guard let text = words.popFirst(), let number = Self.number(text), take(word, number) else {
                    return nil
                }
            }
        }
    }

    private mutating func take(_ word: String, _ number: UInt64) -> Bool {
        switch word {
        case "--seeds": seeds = number
        case "--start": start = number
        case "--seed": seed = number
        case "--jobs": jobs = Int(clamping: max(1, number))
        default: return false
        }
        return true
    }

    /// A number, or a commit hash: its first sixteen digits.
    private static func number(_ text: String) -> UInt64? {
        UInt64(text) ?? UInt64(text.prefix(16), radix: 16)
    }
}

func show(_ verdict: Verdict, lines: Int) {
    print(verdict.options)
    for line in verdict.trace.suffix(lines) { print(line) }
    print("seed \(verdict.seed): \(verdict.failure ?? "all went well")")
    print(
        "  \(verdict.answered) answered, \(verdict.errors) with an error, "
            + "longest \(verdict.longestWait / 1_000_000) ms, "
            + "\(verdict.logins) logins, \(verdict.ghosts) ghosts, \(verdict.reassigned) reassigned, "
            + "\(verdict.virtualNanoseconds / 1_000_000) ms of virtual time, "
            + "hash \(String(verdict.hash, radix: 16))"
    )
}

/// Without a buffer: what follows may trap.
func announce(_ seed: UInt64) {
    let line = Array("seed \(seed)\n".utf8)
    _ = unsafe line.withUnsafeBytes { unsafe write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}

func run(_ arguments: Arguments) async -> Bool {
    if let seed = arguments.seed {
        let verdict = History(
            seed: seed, isTracing: arguments.isTracing, without: arguments.missing,
            multipathing: arguments.multipathing
        ).run()
        show(verdict, lines: .max)
        return verdict.failure == nil
    }
    let clock = ContinuousClock()
    let begin = clock.now
    let missing = arguments.missing
    let multipathing = arguments.multipathing
    var failed: [Verdict] = []
    var answered = 0
    var logins = 0
    var ghosts = 0
    var reassigned = (commands: 0, histories: 0)
    var next = arguments.start
    let end = arguments.start + arguments.seeds
    await withTaskGroup(of: Verdict.self) { group in
        for _ in 0..<arguments.jobs where next < end {
            let seed = next
            if arguments.isVerbose { announce(seed) }
            group.addTask { History(seed: seed, without: missing, multipathing: multipathing).run() }
            next += 1
        }
        while let verdict = await group.next() {
            if verdict.failure != nil { failed.append(verdict) }
            answered += verdict.answered
            logins += verdict.logins
            ghosts += verdict.ghosts
            reassigned.commands += verdict.reassigned
            reassigned.histories += verdict.reassigned > 0 ? 1 : 0
            if next < end {
                let seed = next
                if arguments.isVerbose { announce(seed) }
                group.addTask { History(seed: seed, without: missing, multipathing: multipathing).run() }
                next += 1
            }
        }
    }
    failed.sort { $0.seed < $1.seed }
    print(
        "\(arguments.seeds) histories from seed \(arguments.start) in \(clock.now - begin): "
            + "\(failed.count) failed; \(answered) requests, \(logins) logins, \(ghosts) ghosts, "
            + "\(reassigned.commands) commands reassigned in \(reassigned.histories) histories")
    for verdict in failed.prefix(20) { print("seed \(verdict.seed): \(verdict.failure ?? "")") }
    if let first = failed.first, missing == nil {
        let again = History(seed: first.seed, isTracing: true, multipathing: multipathing)
        show(again.run(), lines: 60)
        let flag = multipathing == .connections ? " --connections" : ""
        print("again: Simulator --seed \(first.seed) --trace\(flag)")
    }
    return missing != nil ? !failed.isEmpty : failed.isEmpty
}

guard let arguments = Arguments(CommandLine.arguments.dropFirst()) else {
    print(
        "Simulator [--seeds N] [--start S] [--jobs J] [--without barrier|fence|records] [--connections] "
            + "[--verbose] | --seed S [--trace]")
    exit(2)
}
let isFine = await run(arguments)
exit(isFine ? 0 : 1)
