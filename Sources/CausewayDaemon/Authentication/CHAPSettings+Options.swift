import CausewayConfiguration
import CausewayControl
import CausewayCore

extension CHAPSettings {
    /// What a login needs, with the secrets read.
    func authentication() throws(ControlError) -> Authentication {
        if let problem { throw .wrongConfiguration([problem]) }
        guard effectiveLevel != .prohibited, let user, let secret else { return .none }
        var options = CHAPOptions(user: user, secret: try Self.read(secret), functions: CHAPHash.functions)
        options.level = effectiveLevel
        options.algorithms = algorithms
        options.mutualLevel = effectiveMutualLevel
        options.mutualUser = mutualUser
        if effectiveMutualLevel == .preferred || effectiveMutualLevel == .required, let mutualSecret {
            options.mutualSecret = try Self.read(mutualSecret)
        }
        if let problem = options.problem { throw .wrongConfiguration([problem]) }
        return .chap(options)
    }

    private static func read(_ source: SecretSource) throws(ControlError) -> CHAPSecret {
        do throws(SecretError) {
            return try SecretFile.read(source)
        } catch {
            throw .wrongConfiguration(["\(error)"])
        }
    }
}
