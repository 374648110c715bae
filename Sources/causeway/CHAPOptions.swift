import ArgumentParser
import CausewayControl

/// CHAP on the command line: names, and files that hold the secrets.
struct CHAPOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What this machine calls itself in CHAP.", valueName: "name"))
    var chapUser: String?

    @Option(
        help: ArgumentHelp(
            "The file with this machine's CHAP secret; only root may read it.", valueName: "file"),
        completion: .file())
    var chapSecretFile: String?

    @Option(help: ArgumentHelp("What the target has to call itself in CHAP.", valueName: "name"))
    var mutualChapUser: String?

    @Option(
        help: ArgumentHelp(
            "The file with the target's CHAP secret: the target has to prove who it is.", valueName: "file"),
        completion: .file())
    var mutualChapSecretFile: String?

    /// nil: as the configuration says.
    func request() throws -> CHAPRequest? {
        guard let chapUser, let chapSecretFile else {
            guard chapUser == nil, chapSecretFile == nil, mutualChapUser == nil, mutualChapSecretFile == nil
            else { throw ValidationError("--chap-user and --chap-secret-file go together") }
            return nil
        }
        return CHAPRequest(
            user: chapUser, secretFile: FilePath.absolute(chapSecretFile), mutualUser: mutualChapUser,
            mutualSecretFile: mutualChapSecretFile.map(FilePath.absolute))
    }
}
