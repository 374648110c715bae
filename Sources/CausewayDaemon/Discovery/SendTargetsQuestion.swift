import CausewayCore
import LinuxSystem

/// Asks one portal over one interface for its targets: a whole discovery session (RFC 7143 Appendix C).
struct SendTargetsQuestion: Sendable {
    var initiatorName: ISCSIName
    var initiatorAlias: String?
    var identity: SessionIdentity
    /// Of the discovery that asks.
    var slot: Int
    var timeouts: DiscoveryTimeouts
    var challenges = KnownChallenges()
    /// Given a line for the log.
    var note: @Sendable (String) -> Void = { _ in }

    /// A target that keeps sending us elsewhere is left after so many portals.
    static let redirectionsMax = 4

    struct Answer: Sendable {
        /// Where the list came from: not where it was asked for, after a redirection.
        var route: Route
        var list: SendTargetsResponse
    }

    func ask(_ route: Route, _ authentication: Authentication = .none) throws(PortalError) -> Answer {
        var authentication = authentication
        let deadline = DiscoveryTimeouts.after(timeouts.session)
        var route = route
        for _ in 0..<Self.redirectionsMax {
            switch try ask(route, authentication, deadline) {
            case .failedWithoutMD5(let error):
                note("\(route.destination): \(error.md5Note)")
                authentication = authentication.withMD5Alone
            case .list(let list): return Answer(route: route, list: list)
            case .redirected(let address): route = try route.redirected(to: address)
            }
        }
        throw PortalError(route, .tooManyRedirections(Self.redirectionsMax))
    }

    private enum Outcome {
        case list(SendTargetsResponse)
        case redirected(PortalAddress)
        /// MD5 alone may do.
        case failedWithoutMD5(LoginError)
    }

    private func ask(
        _ route: Route, _ authentication: Authentication, _ end: Instant
    ) throws(PortalError) -> Outcome {
        let connection = try PortalConnection(
            route, deadline: DiscoveryTimeouts.after(timeouts.connect, notAfter: end))
        var options = LoginOptions(
            initiatorName: initiatorName, targetName: nil,
            isid: identity.discoveryISID(
                interface: route.interface, portal: route.destination, slot: slot))
        options.initiatorAlias = initiatorAlias
        options.wanted.maxRecvDataSegmentLength = TargetSession.maxRecvDataSegmentLength
        options.wanted.defaultTime2Retain = 0
        options.authentication = authentication.knowing(challenges.all)
        var session = DiscoverySession(options)
        var step = PortalError.Step.login
        var deadline = end
        var next = session.start()
        while true {
            switch next {
            case .completed(let list): return .list(list)
            case .redirected(let address, _): return .redirected(address)
            case .failed(.login(let error)) where session.maySucceedWithMD5: return .failedWithoutMD5(error)
            case .failed(let error): throw PortalError(route, .discovery(error))
            case .send, .wait: break
            }
            do throws(PortalError) {
                if case .send(let header, let data) = next {
                    switch header.opcode {
                    case .textRequest: step = .sendTargets
                    case .logoutRequest:
                        // The list is complete; good manners must not cost much.
                        step = .logout
                        deadline = DiscoveryTimeouts.after(timeouts.logout, notAfter: end)
                    default: break
                    }
                    try connection.send(header, data: data, deadline: deadline, during: step)
                }
                let (header, data) = try connection.receive(
                    limit: TargetSession.maxRecvDataSegmentLength, deadline: deadline, during: step)
                let known = session.challenges.count
                next = unsafe data.withUnsafeBytes { unsafe session.received(header, data: $0) }
                challenges.remember(session.challenges, after: known)
            } catch {
                if step == .logout {
                    next = session.connectionClosed()
                    continue
                }
                guard case .closed = error.reason else { throw error }
                next = session.connectionClosed()
            }
        }
    }
}

extension LoginError {
    /// For the log.
    var md5Note: String {
        "CHAP failed with the algorithm that the target chose; trying once more with MD5 alone (\(self))"
    }
}

extension Route {
    /// The same interface and another portal. Names are resolved; a source address of the other family is
    /// given up.
    func redirected(to address: PortalAddress) throws(PortalError) -> Route {
        let found: [SocketAddress]
        do throws(NameError) {
            found = try NameResolver.resolve("\(address)", defaultPort: address.port)
        } catch {
            throw PortalError(self, .unusableRedirection("\(error)"))
        }
        guard let portal = found.first else {
            throw PortalError(self, .unusableRedirection("\(address) has no address"))
        }
        var route = self
        route.destination = portal
        guard let interface, source != nil else { return route }
        // The address that suits the new portal may be another one of the interface's.
        guard let present = try? NetworkInterfaces.list().first(where: { $0.link.name == interface }),
            let source = present.sourceAddress(toward: portal.address)
        else {
            let family = portal.address.family.name
            throw PortalError(
                self, .unusableRedirection("\(interface) has no \(family) address for \(portal)"))
        }
        route.source = source.address
        return route
    }
}
