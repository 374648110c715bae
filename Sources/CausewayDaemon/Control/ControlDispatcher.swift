import CausewayControl
import Logging

/// One Varlink message in, its answer out: decodes, checks who asks, calls the service, encodes.
struct ControlDispatcher: Sendable {
    enum Answer: Equatable {
        /// Bytes to send, NUL included.
        case reply([UInt8])
        /// The caller wanted none.
        case silence
        /// Not Varlink, or not answerable: close the connection.
        case hangUp(reason: String)
    }

    let service: any DiskService
    let logger: Logger

    func answer(_ message: [UInt8], access: Access) -> Answer {
        let call: VarlinkCall<NoParameters>
        do throws(WireError) {
            call = try MessageCodec.decode(VarlinkCall<NoParameters>.self, from: message)
        } catch {
            return .hangUp(reason: error.description)
        }
        guard call.upgrade != true else { return .hangUp(reason: "the client wants to upgrade the protocol") }
        let reply = reply(to: call.method, message, access)
        guard call.oneway != true else { return .silence }
        do throws(WireError) {
            return .reply(try reply.encoded())
        } catch {
            return .hangUp(reason: error.description)
        }
    }

    private typealias Method = InterfaceDescription.Method
    private typealias ServiceError = InterfaceDescription.ServiceError

    private func reply(to method: String, _ message: [UInt8], _ access: Access) -> Reply {
        do throws(WireError) {
            if let reply = try replyOfDisks(method, message, access) { return reply }
            switch method {
            case Method.discover:
                let request: DiscoverRequest = try parameters(of: message)
                return change("discover targets", access) { () throws(ControlError) in
                    try request.validate()
                    return .success(try service.discover(request))
                }
            case Method.list:
                return look { () throws(ControlError) in .success(DiskList(disks: try service.list())) }
            case Method.status:
                let request: StatusRequest = try parameters(of: message)
                return look { () throws(ControlError) in
                    .success(DiskResult(disk: try service.status(request.name)))
                }
            case Method.params:
                let request: StatusRequest = try parameters(of: message)
                return look { () throws(ControlError) in .success(try service.parameters(request.name)) }
            case Method.getInfo:
                return .success(Self.info)
            case Method.getInterfaceDescription:
                let request: InterfaceDescriptionRequest = try parameters(of: message)
                return describe(request.interface)
            default:
                return unknown(method)
            }
        } catch {
            switch error {
            case .rejected(let error): return .failure(error)
            case .invalidParameter(let name):
                return .serviceError(ServiceError.invalidParameter, ServiceErrorParameters(parameter: name))
            case .malformed, .messageTooLong:
                return .serviceError(
                    ServiceError.invalidParameter, ServiceErrorParameters(parameter: "parameters"))
            }
        }
    }

    /// What changes a disk; nil for any other method.
    private func replyOfDisks(
        _ method: String, _ message: [UInt8], _ access: Access
    ) throws(WireError) -> Reply? {
        switch method {
        case Method.attach:
            let request: AttachRequest = try parameters(of: message)
            return change("attach disks", access) { () throws(ControlError) in
                try request.validate()
                return .success(DiskResult(disk: try service.attach(request)))
            }
        case Method.attachConfigured:
            let request: AttachConfiguredRequest = try parameters(of: message)
            return change("attach disks", access) { () throws(ControlError) in
                .success(DiskResult(disk: try service.attachConfigured(request.name)))
            }
        case Method.set:
            let request: SetRequest = try parameters(of: message)
            return change("change settings", access) { () throws(ControlError) in
                try request.validate()
                return .success(DiskResult(disk: try service.set(request)))
            }
        case Method.addPaths:
            let request: AddPathsRequest = try parameters(of: message)
            return change("add paths", access) { () throws(ControlError) in
                try request.validate()
                return .success(DiskResult(disk: try service.addPaths(request)))
            }
        case Method.removePaths: return try changePaths(.remove, message, access)
        case Method.disablePaths: return try changePaths(.disable, message, access)
        case Method.enablePaths: return try changePaths(.enable, message, access)
        case Method.detach:
            let request: DetachRequest = try parameters(of: message)
            return change("detach disks", access) { () throws(ControlError) in
                try service.detach(request)
                return .success(NoParameters())
            }
        case Method.rescan:
            let request: RescanRequest = try parameters(of: message)
            return change("rescan disks", access) { () throws(ControlError) in
                .success(DiskResult(disk: try service.rescan(request)))
            }
        case Method.reserve:
            let request: ReserveRequest = try parameters(of: message)
            return change("change reservations", access) { () throws(ControlError) in
                try request.validate()
                return .success(ReservationsResult(reservations: try service.reserve(request)))
            }
        case Method.reload: return try reload(message, access)
        default: return nil
        }
    }

    private func reload(_ message: [UInt8], _ access: Access) throws(WireError) -> Reply {
        let request: ReloadRequest = try parameters(of: message)
        return change("reload the configuration", access) { () throws(ControlError) in
            .success(try service.reload(request))
        }
    }

    private func changePaths(
        _ kind: PathChange, _ message: [UInt8], _ access: Access
    ) throws(WireError) -> Reply {
        let request: ChangePathsRequest = try parameters(of: message)
        return change("change paths", access) { () throws(ControlError) in
            try request.validate()
            return .success(DiskResult(disk: try service.changePaths(request, kind)))
        }
    }

    private func parameters<Parameters: Codable & Sendable>(
        of message: [UInt8]
    ) throws(WireError) -> Parameters {
        if let parameters = try MessageCodec.decode(VarlinkCall<Parameters>.self, from: message).parameters {
            return parameters
        }
        // Left out altogether: the same as an empty object, so the answer names what is missing.
        let empty = Array(#"{"method":"","parameters":{}}"#.utf8)
        guard let parameters = try MessageCodec.decode(VarlinkCall<Parameters>.self, from: empty).parameters
        else {
            throw .invalidParameter(name: "parameters")
        }
        return parameters
    }

    private func change(
        _ action: String, _ access: Access, _ body: () throws(ControlError) -> Reply
    ) -> Reply {
        guard access == .full else { return .failure(.permissionDenied(action)) }
        do throws(ControlError) {
            return try body()
        } catch {
            let reason = error.message.escapedForTerminal
            logger.info("did not \(action): \(reason)", metadata: ["error": "\(error.kind.rawValue)"])
            return .failure(error)
        }
    }

    /// For what anyone may ask: never logged, so that no one can fill the log.
    private func look(_ body: () throws(ControlError) -> Reply) -> Reply {
        do throws(ControlError) {
            return try body()
        } catch {
            return .failure(error)
        }
    }

    private static let info = ServiceInfo(
        vendor: "Causeway", product: "causewayd", version: CausewayVersion.current, url: "",
        interfaces: [InterfaceDescription.serviceName, InterfaceDescription.name])

    private func describe(_ interface: String) -> Reply {
        switch interface {
        case InterfaceDescription.name:
            .success(InterfaceDescriptionResult(description: InterfaceDescription.causeway))
        case InterfaceDescription.serviceName:
            .success(InterfaceDescriptionResult(description: InterfaceDescription.service))
        default:
            .serviceError(ServiceError.interfaceNotFound, ServiceErrorParameters(interface: interface))
        }
    }

    private func unknown(_ method: String) -> Reply {
        let interface = method.lastIndex(of: ".").map { String(method[..<$0]) } ?? method
        guard [InterfaceDescription.name, InterfaceDescription.serviceName].contains(interface) else {
            return .serviceError(ServiceError.interfaceNotFound, ServiceErrorParameters(interface: interface))
        }
        return .serviceError(ServiceError.methodNotFound, ServiceErrorParameters(method: method))
    }
}

extension ControlDispatcher {
    /// A reply whose parameters' type only its maker knows.
    fileprivate struct Reply {
        let encoded: () throws(WireError) -> [UInt8]

        static func success(_ parameters: some Codable & Sendable) -> Reply {
            Reply { () throws(WireError) in try MessageCodec.encode(VarlinkReply(parameters: parameters)) }
        }

        static func failure(_ error: ControlError) -> Reply {
            Reply { () throws(WireError) in
                try MessageCodec.encode(VarlinkReply(parameters: error.parameters, error: error.varlinkName))
            }
        }

        static func serviceError(_ name: String, _ parameters: ServiceErrorParameters) -> Reply {
            Reply { () throws(WireError) in
                try MessageCodec.encode(VarlinkReply(parameters: parameters, error: name))
            }
        }
    }
}
