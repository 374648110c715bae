import ArgumentParser

/// The process starts here, before any argument is parsed.
@main
enum EntryPoint {
    static func main() {
        // --- NBD CALL: the executable starts itself as `causewayd --nbd-call …` for netlink calls that can
        // block. `if CommandLine.arguments.dropFirst().first == "--nbd-call" { NBDCallMain.run() }` belongs
        // here, first, so that the helper process never touches the daemon's state.
        Causewayd.main()
    }
}
