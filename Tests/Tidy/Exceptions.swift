/// Where a rule is not kept for a reason. An entry that is no longer needed fails its test, so that the lists
/// stay short.
enum Exceptions {
    struct Exception: Sendable {
        var path: String
        /// The function; empty where the rule is about a whole file.
        var name = ""
        var reason: String
    }

    /// Files of Sources with more than 500 lines that are one subject all the same.
    static let longFiles: [Exception] = []

    /// Functions with more than 70 lines that would not read better in parts.
    static let longFunctions: [Exception] = []
}
