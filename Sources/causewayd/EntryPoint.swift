import ArgumentParser
import NBDDevice

/// The process starts here, before any argument is parsed.
@main
enum EntryPoint {
    static func main() {
        // The executable starts itself for netlink calls that can block; such a process must never touch the
        // daemon's state.
        NBDCallMain.runIfAsked()
        Causewayd.main()
    }
}
