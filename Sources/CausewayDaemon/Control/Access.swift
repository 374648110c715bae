public import CausewayControl

/// What a client may do.
public enum Access: Sendable, Equatable {
    case readOnly
    case full

    /// Root may do everything; who else may connect, by the socket's mode, may only look.
    @Sendable public static func byUser(_ credentials: PeerCredentials) -> Access {
        credentials.userID == 0 ? .full : .readOnly
    }
}
