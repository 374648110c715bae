import ArgumentParser
import CausewayControl

struct Reserve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Register a disk's host at its LUN, and reserve the LUN among hosts that share it.",
        discussion: """
            ACTION is register, unregister, reserve, release, preempt, preempt-abort, clear or status. The key is
            registered on all paths, and on every path that comes later before its first I/O.
            """)

    @Argument(help: "The disk's name.", completion: .attachedDisks, transform: DiskName.argument)
    var name: DiskName

    @Argument(
        help: "What to do.", completion: .list(ReservationAction.all.map(\.rawValue)),
        transform: ReservationAction.init(rawValue:))
    var action: ReservationAction

    @Option(help: "register: the key, hexadecimal; without, the disk's last one or a new one.")
    var key: String?

    @Option(
        help: ArgumentHelp(
            "reserve, preempt: write-exclusive or exclusive-access, alone or with -registrants-only or "
                + "-all-registrants."))
    var type: String?

    @Option(help: "preempt, preempt-abort: the key that is taken away.")
    var victim: String?

    @Flag(help: "register: registrations outlive a power loss of the target (APTPL).")
    var aptpl = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var connection: ConnectionOptions

    private var request: ReserveRequest {
        ReserveRequest(name: name, action: action, key: key, type: type, victim: victim, aptpl: aptpl)
    }

    func validate() throws {
        try usage(request.validate)
    }

    func run() throws {
        let status = try connection.ask { client throws(ControlClientError) in try client.reserve(request) }
        if json {
            try Terminal.writeJSON(status)
        } else {
            Terminal.write(status.lines)
        }
        for problem in status.problems { Terminal.complain(problem) }
        if !status.problems.isEmpty { throw ExitCode.failure }
    }
}
