/// CHAP for one request: names, and the paths of files that hold the secrets. A secret itself never travels
/// here.
public struct CHAPRequest: Codable, Equatable, Sendable {
    /// What this machine calls itself.
    public var user: String
    /// Absolute path of a file that only root can read.
    public var secretFile: String
    /// What the target has to call itself; nil: anything.
    public var mutualUser: String?
    /// The target's secret; with it the target has to prove who it is.
    public var mutualSecretFile: String?

    public init(
        user: String, secretFile: String, mutualUser: String? = nil, mutualSecretFile: String? = nil
    ) {
        self.user = user
        self.secretFile = secretFile
        self.mutualUser = mutualUser
        self.mutualSecretFile = mutualSecretFile
    }

    func validate() throws(ControlError) {
        for path in [secretFile, mutualSecretFile].compactMap(\.self) {
            guard path.utf8.first == UInt8(ascii: "/"), path.utf8.count < 4096, !path.utf8.contains(0) else {
                throw .invalidArgument(
                    "\"\(path)\" cannot be the path of a secret", remedy: "give an absolute path")
            }
        }
        for name in [user, mutualUser].compactMap(\.self) {
            guard (1...255).contains(name.utf8.count), !name.utf8.contains(where: { $0 < 0x20 }) else {
                throw .invalidArgument(
                    "\"\(name)\" cannot be a CHAP user", remedy: "give a name of 1 to 255 bytes")
            }
        }
        guard mutualUser == nil || mutualSecretFile != nil else {
            throw .invalidArgument(
                "the target's CHAP user is given and its secret is not",
                remedy: "give --mutual-chap-secret-file too")
        }
    }
}
