import CausewayCore

/// Where a target has sent a login to.
struct Redirection: Sendable {
    var id: StreamID
    var route: RouteID
    var userTimeout: UInt32
    var portal: PortalAddress
}
