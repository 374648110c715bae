import CausewayControl
import CausewayCore
import LinuxSystem

/// `causeway discover`: which targets there are behind some portals, and which LUNs behind the targets.
///
/// Blocks the calling control thread; portals are asked in parallel, so that a dead one costs its connect
/// time-out and no more.
struct TargetDiscovery: Sendable {
    /// How to prove who we are: to a portal that is asked for its targets, and to a target that it listed.
    struct Authentications: Sendable {
        var discovery: @Sendable (CausewayControl.PortalAddress) throws(ControlError) -> Authentication = {
            _ in .none
        }
        var target:
            @Sendable (ISCSIName, [CausewayControl.PortalAddress]) throws(ControlError) -> Authentication = {
                _, _ in .none
            }
    }

    let initiatorName: ISCSIName
    var initiatorAlias: String?
    var identity: SessionIdentity
    var timeouts: DiscoveryTimeouts
    var authentications = Authentications()
    /// Of all discoveries of the daemon.
    var challenges = KnownChallenges()
    /// Given lines for the log.
    var note: @Sendable (String) -> Void = { _ in }

    /// Portals or targets that are asked at a time.
    static let threadsMax = 32
    /// Portals of a target that are tried for its LUNs.
    static let loginsMax = 4

    init(
        initiatorName: ISCSIName, identity: SessionIdentity = .ofThisMachine(),
        timeouts: DiscoveryTimeouts = DiscoveryTimeouts()
    ) {
        self.initiatorName = initiatorName
        self.identity = identity
        self.timeouts = timeouts
    }

    /// Throws only if nothing at all answered; else what gave no answer is among the problems.
    func discover(_ request: DiscoverRequest) throws(ControlError) -> Discovery {
        let slot = DiscoverySlot()
        var failures: [ControlError] = []
        let present = request.interfaces.isEmpty ? [] : try PathPlan.presentInterfaces()
        let found = resolve(request.portals, &failures)
        let plan = PathPlan(
            interfaces: request.interfaces, portals: found.map(\.address), present: present
        ) {
            identity.discoveryISID(interface: $0, portal: $1, slot: slot.number)
        }
        failures += plan.unusable.map(\.error)
        let answers = ask(plan.paths.map(\.route), found, slot.number, &failures)
        guard !answers.isEmpty else { throw Self.mostTelling(failures) }
        var catalog = TargetCatalog()
        for answer in answers { catalog.add(answer.list, from: answer.route) }
        var discovery = Discovery(targets: catalog.targets.map(\.report))
        discovery.problems =
            failures.map(\.message) + plan.leftOut.compactMap(Self.problem) + catalog.problems
        if request.luns {
            let found = askForLUNs(catalog.targets, request.portals, slot.number, present)
            for (index, found) in found.enumerated() {
                discovery.targets[index].luns = found.luns
                if let problem = found.problem { discovery.problems.append(problem) }
            }
        }
        return discovery
    }

    /// A portal that other interfaces are nearer to is asked through these; that is no problem.
    private static func problem(_ pair: PathPlan.LeftOutPair) -> String? {
        if case .nearer = pair.reason { nil } else { pair.description }
    }

    /// What someone can mend here comes before what someone else must mend, and who spoke before who was
    /// silent.
    private static func mostTelling(_ failures: [ControlError]) -> ControlError {
        let order: [ControlError.Kind] = [
            .wrongConfiguration, .noSuchInterface, .interfaceWithoutAddress, .authenticationFailed,
            .loginRefused, .portalUnreachable,
        ]
        func rank(_ error: ControlError) -> Int { order.firstIndex(of: error.kind) ?? order.count }
        guard let first = failures.min(by: { rank($0) < rank($1) }) else {
            return .invalidArgument("no portal is given", remedy: "name at least one portal of the target")
        }
        return first
    }

    /// An address, and the portal as it was written.
    private typealias Found = (address: SocketAddress, portal: CausewayControl.PortalAddress)

    private func resolve(
        _ portals: [CausewayControl.PortalAddress], _ failures: inout [ControlError]
    ) -> [Found] {
        let answers = ParallelQuestions.ask(portals, threadsMax: Self.threadsMax) {
            portal -> Result<[Found], ControlError> in
            do throws(NameError) {
                let addresses = try NameResolver.resolve("\(portal)", defaultPort: portal.port)
                return .success(addresses.map { ($0, portal) })
            } catch {
                return .failure(Self.unresolved(portal, error))
            }
        }
        return sorted(answers, &failures).flatMap(\.self)
    }

    private static func unresolved(
        _ portal: CausewayControl.PortalAddress, _ error: NameError
    ) -> ControlError {
        ControlError(
            kind: .portalUnreachable, message: "the portal \(portal) cannot be found: \(error.reason)",
            remedy: error.isTemporary
                ? "the name server did not answer: check /etc/resolv.conf, or give an address"
                : "check the spelling, or give an address")
    }

    private func ask(
        _ routes: [Route], _ found: [Found], _ slot: Int, _ failures: inout [ControlError]
    ) -> [SendTargetsQuestion.Answer] {
        let question = SendTargetsQuestion(
            initiatorName: initiatorName, initiatorAlias: initiatorAlias, identity: identity, slot: slot,
            timeouts: timeouts, challenges: challenges, note: note)
        let answers = ParallelQuestions.ask(routes, threadsMax: Self.threadsMax) {
            route -> Result<SendTargetsQuestion.Answer, ControlError> in
            var authentication = Authentication.none
            if let portal = found.first(where: { $0.address == route.destination })?.portal {
                do throws(ControlError) {
                    authentication = try authentications.discovery(portal)
                } catch {
                    return .failure(error)
                }
            }
            do throws(PortalError) {
                return .success(try question.ask(route, authentication))
            } catch {
                return .failure(error.controlError(target: nil, initiator: initiatorName))
            }
        }
        return sorted(answers, &failures)
    }

    /// The answers; what failed goes to the failures.
    private func sorted<Answer>(
        _ results: [Result<Answer, ControlError>], _ failures: inout [ControlError]
    ) -> [Answer] {
        var answers: [Answer] = []
        for result in results {
            switch result {
            case .success(let answer): answers.append(answer)
            case .failure(let failure): failures.append(failure)
            }
        }
        return answers
    }

    private func askForLUNs(
        _ targets: [TargetCatalog.Target], _ portals: [CausewayControl.PortalAddress], _ slot: Int,
        _ present: [NetworkInterface]
    ) -> [(luns: [LUNReport], problem: String?)] {
        ParallelQuestions.ask(targets, threadsMax: Self.threadsMax) { target in
            var login = TargetSession.Login(
                initiatorName: initiatorName, initiatorAlias: initiatorAlias, target: target.name,
                identity: identity, slot: slot,
                timeouts: timeouts, challenges: challenges, note: note)
            do throws(ControlError) {
                login.authentication = try authentications.target(target.name, portals)
            } catch {
                return ([], "\(target.name): \(error.message)")
            }
            var last: PortalError?
            for route in target.routes(present).prefix(Self.loginsMax) {
                do throws(PortalError) {
                    let questions = LogicalUnitQuestions(try TargetSession.open(login, over: route), timeouts)
                    let (luns, problem) = questions.ask()
                    return (luns, problem.map { "\(target.name): \($0)" })
                } catch {
                    last = error
                    if !error.isWorthAnotherPortal { break }
                }
            }
            let reason = last?.controlError(target: target.name, initiator: initiatorName).message
            return ([], "\(target.name): " + (reason ?? "it has no portal that can be reached from here"))
        }
    }
}
