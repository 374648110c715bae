extension LoginError {
    /// The same as the supervisor tells it to people.
    var problemKind: PathProblem.Kind {
        switch self {
        case .refused(let status) where status == .notFound: .targetNotFound
        case .refused(let status): .loginRefused(class: status.statusClass, detail: status.detail)
        case .authentication, .options: .authentication
        case .connectionClosed: .unreachable
        default: .protocolViolation
        }
    }
}
