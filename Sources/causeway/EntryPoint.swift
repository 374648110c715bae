import ArgumentParser
import NBDDevice

/// The process starts here, before any argument is parsed.
@main
enum EntryPoint {
    static func main() {
        // The executable starts itself for netlink calls that can block.
        NBDCallMain.runIfAsked()
        Causeway.main()
    }
}
