import Glibc

/// One connection to the daemon. Calls are answered one after the other.
public struct ControlClient: ~Copyable {
    public static let defaultPath = "/run/causeway/io.causeway"

    private let path: String
    private let socket: UnixSocket
    private var framer = MessageFramer(limitBytes: MessageFramer.replyLimitBytes)

    public init(path: String = defaultPath) throws(ControlClientError) {
        self.path = path
        do throws(SystemCallError) {
            socket = try UnixSocket.connect(to: path)
        } catch {
            switch error.code {
            case ENOENT, ECONNREFUSED: throw .notRunning(path: path)
            case EACCES, EPERM: throw .noAccess(path: path)
            default: throw .system(error)
            }
        }
    }

    deinit {
        socket.close()
    }

    public mutating func discover(_ request: DiscoverRequest) throws(ControlClientError) -> Discovery {
        try call(InterfaceDescription.Method.discover, request)
    }

    public mutating func attach(_ request: AttachRequest) throws(ControlClientError) -> DiskReport {
        let result: DiskResult = try call(InterfaceDescription.Method.attach, request)
        return result.disk
    }

    public mutating func attachConfigured(_ name: DiskName) throws(ControlClientError) -> DiskReport {
        let result: DiskResult = try call(
            InterfaceDescription.Method.attachConfigured, AttachConfiguredRequest(name: name))
        return result.disk
    }

    public mutating func set(_ request: SetRequest) throws(ControlClientError) -> DiskReport {
        let result: DiskResult = try call(InterfaceDescription.Method.set, request)
        return result.disk
    }

    public mutating func addPaths(_ request: AddPathsRequest) throws(ControlClientError) -> DiskReport {
        let result: DiskResult = try call(InterfaceDescription.Method.addPaths, request)
        return result.disk
    }

    /// - Parameter method: `removePaths`, `disablePaths` or `enablePaths`.
    public mutating func changePaths(
        _ method: String, _ request: ChangePathsRequest
    ) throws(ControlClientError) -> DiskReport {
        let result: DiskResult = try call(method, request)
        return result.disk
    }

    public mutating func detach(_ request: DetachRequest) throws(ControlClientError) {
        let _: NoParameters = try call(InterfaceDescription.Method.detach, request)
    }

    public mutating func rescan(_ request: RescanRequest) throws(ControlClientError) -> DiskReport {
        let result: DiskResult = try call(InterfaceDescription.Method.rescan, request)
        return result.disk
    }

    public mutating func reserve(_ request: ReserveRequest) throws(ControlClientError) -> ReservationStatus {
        let result: ReservationsResult = try call(InterfaceDescription.Method.reserve, request)
        return result.reservations
    }

    public mutating func reload(_ request: ReloadRequest) throws(ControlClientError) -> ReloadReport {
        try call(InterfaceDescription.Method.reload, request)
    }

    public mutating func list() throws(ControlClientError) -> [DiskSummary] {
        let result: DiskList = try call(InterfaceDescription.Method.list, NoParameters())
        return result.disks
    }

    public mutating func status(_ name: DiskName) throws(ControlClientError) -> DiskReport {
        let result: DiskResult = try call(InterfaceDescription.Method.status, StatusRequest(name: name))
        return result.disk
    }

    public mutating func parameters(_ name: DiskName) throws(ControlClientError) -> ParametersReport {
        try call(InterfaceDescription.Method.params, StatusRequest(name: name))
    }

    public mutating func serviceInfo() throws(ControlClientError) -> ServiceInfo {
        try call(InterfaceDescription.Method.getInfo, NoParameters())
    }

    public mutating func interfaceDescription(_ name: String) throws(ControlClientError) -> String {
        let result: InterfaceDescriptionResult = try call(
            InterfaceDescription.Method.getInterfaceDescription, InterfaceDescriptionRequest(interface: name))
        return result.description
    }

    /// Sends a call and waits for its reply, as long as the daemon takes.
    public mutating func call<Parameters: Codable & Sendable, Result: Codable & Sendable>(
        _ method: String, _ parameters: Parameters
    ) throws(ControlClientError) -> Result {
        let message = try Self.read { () throws(WireError) in
            try MessageCodec.encode(VarlinkCall(method: method, parameters: parameters))
        }
        do throws(SystemCallError) {
            try socket.send(message)
        } catch {
            // A daemon that turns a connection away says why before it closes, so read on.
            guard error.code == EPIPE else { throw .system(error) }
        }
        let reply = try receive()
        if let error = try Self.read({ () throws(WireError) in try Self.refusal(in: reply) }) { throw error }
        return try Self.read { () throws(WireError) in
            if let result = try MessageCodec.decode(VarlinkReply<Result>.self, from: reply).parameters {
                return result
            }
            // A reply may leave out parameters that are all optional.
            return try MessageCodec.decode(Result.self, from: Array("{}".utf8))
        }
    }

    private static func read<Value>(
        _ body: () throws(WireError) -> Value
    ) throws(ControlClientError) -> Value {
        do throws(WireError) {
            return try body()
        } catch {
            throw .malformedReply(error)
        }
    }

    /// The error that a reply carries, if it does.
    private static func refusal(in reply: [UInt8]) throws(WireError) -> ControlClientError? {
        guard let name = try MessageCodec.decode(VarlinkReply<NoParameters>.self, from: reply).error else {
            return nil
        }
        if name.hasPrefix("\(InterfaceDescription.name)."),
            let parameters = try MessageCodec.decode(VarlinkReply<ControlError.Parameters>.self, from: reply)
                .parameters,
            let error = ControlError(varlinkName: name, parameters: parameters)
        {
            return .refused(error)
        }
        let detail = try MessageCodec.decode(VarlinkReply<ServiceErrorParameters>.self, from: reply)
            .parameters
        return .notUnderstood(name: name, detail: detail?.text ?? "")
    }

    private mutating func receive() throws(ControlClientError) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            do throws(WireError) {
                if let message = try framer.next() { return message }
            } catch {
                throw .malformedReply(error)
            }
            do throws(SystemCallError) {
                let count = try socket.receive(into: &buffer)
                guard count > 0 else { throw SystemCallError("recv", code: ECONNRESET) }
                framer.append(buffer[..<count])
            } catch {
                throw error.code == ECONNRESET ? .connectionLost(path: path) : .system(error)
            }
        }
    }
}
