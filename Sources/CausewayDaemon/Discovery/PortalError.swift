import CausewayControl
import CausewayCore
import LinuxSystem

/// Why a portal gave no answer, or not the one that was asked for.
struct PortalError: Error, Equatable, Sendable {
    /// What was under way.
    enum Step: Equatable, Sendable, CustomStringConvertible {
        case connect
        case login
        case sendTargets
        case command(String)
        case logout

        /// What a silent target was asked for.
        var description: String {
            switch self {
            case .connect: "the connection attempt"
            case .login: "the login"
            case .sendTargets: "SendTargets"
            case .command(let name): name
            case .logout: "the logout"
            }
        }
    }

    enum Reason: Equatable, Sendable {
        /// The connection could not be made.
        case cannotConnect(SystemError)
        /// The deadline passed.
        case silent(Step)
        /// The target closed the connection.
        case closed(Step)
        /// The kernel ended the connection.
        case broken(SystemError, Step)
        case login(LoginError)
        case discovery(DiscoveryError)
        /// The target rejected a PDU.
        case rejected(Reject.Reason, Step)
        /// The target asked to end the session, or ended it.
        case ended(AsynchronousMessage.Event)
        /// The target breaks RFC 7143.
        case protocolError(String, during: Step)
        case tooManyRedirections(Int)
        case unusableRedirection(String)
    }

    var route: Route
    var reason: Reason

    init(_ route: Route, _ reason: Reason) {
        self.route = route
        self.reason = reason
    }

    /// Whether another portal of the same target may answer where this one did not: no answer came from the
    /// target itself, or it said so.
    var isWorthAnotherPortal: Bool {
        switch reason {
        case .cannotConnect, .silent, .closed, .broken, .ended, .rejected: true
        case .login(let error):
            switch error {
            // The name may be known at another portal only.
            case .refused(.notFound), .refused(.serviceUnavailable): true
            default: error.isRetryable
            }
        case .discovery(let error): error.isRetryable
        case .protocolError, .tooManyRedirections, .unusableRedirection: true
        }
    }

    /// The login status, where a refusal is the reason.
    var refusal: LoginStatus? {
        switch reason {
        case .login(.refused(let status)), .discovery(.login(.refused(let status))): status
        default: nil
        }
    }
}

extension PortalError: CustomStringConvertible {
    /// What happened, without where: `Connection refused (ECONNREFUSED)`.
    var what: String {
        switch reason {
        case .cannotConnect(let error): "\(error.errno)"
        case .silent(.connect): "nothing answers there"
        case .silent(let step): "it accepted the connection and gave no answer to \(step) in time"
        case .closed(let step): "it closed the connection during \(step)"
        case .broken(let error, let step): "the connection broke during \(step): \(error.errno)"
        case .login(let error): "\(error)"
        case .discovery(let error): "\(error)"
        case .rejected(let reason, let step): "it rejected \(step): \(reason)"
        case .ended(let event): "it ended the session: \(event)"
        case .protocolError(let what, let step): "it breaks the iSCSI protocol during \(step): \(what)"
        case .tooManyRedirections(let count): "it redirects in a circle: \(count) redirections"
        case .unusableRedirection(let why): "it redirects to where nothing can be reached: \(why)"
        }
    }

    /// `10.0.0.1:3260 through eth1: Connection refused (ECONNREFUSED)`.
    var description: String { "\(place): \(what)" }

    /// `10.0.0.1:3260 through eth1`.
    var place: String { "\(route.destination)" + (route.interface.map { " through \($0)" } ?? "") }

    /// As a client of the control socket is told. `target` is nil for a discovery session.
    func controlError(target: ISCSIName?, initiator: ISCSIName) -> ControlError {
        let portal = CausewayControl.PortalAddress(
            host: "\(route.destination.address)", port: route.destination.port)
        if let refusal {
            return .loginRefused(
                target?.text, portal: portal, interface: route.interface, initiator: initiator.text,
                statusClass: refusal.statusClass, statusDetail: refusal.detail, reason: refusal.words)
        }
        switch reason {
        case .login(.authentication(let why)), .discovery(.login(.authentication(let why))):
            return .authenticationFailed(target?.text ?? "discovery", place: place, reason: "\(why)")
        default: break
        }
        var error = ControlError.portalUnreachable(portal, interface: route.interface, reason: what)
        switch reason {
        case .cannotConnect(let system), .broken(let system, _):
            if let advice = system.hint ?? system.advice { error.remedy = advice }
        case .silent(.connect): break
        case .silent, .closed, .rejected, .ended:
            error.message = "the portal \(place) gave no answer: \(what)"
            error.remedy = "check that an iSCSI target listens there; its log may say more"
        case .discovery(.login(.connectionClosed)):
            error.message = "the portal \(place) hung up: \(what)"
            error.remedy =
                "the target's log may say more; some, as tgtd, hang up on everyone while it has no target"
        case .login, .discovery, .protocolError, .tooManyRedirections, .unusableRedirection:
            error.message = "the portal \(place) cannot be used: \(what)"
            error.remedy = "check that an iSCSI target listens there; its log may say more"
        }
        return error
    }
}
