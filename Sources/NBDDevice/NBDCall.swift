/// One call that may block in the kernel, as a value: it is made in a process of its own (`NBDCallRunner`),
/// because a thread stuck in the kernel would keep a killed daemon, and with it its sockets, alive.
public enum NBDCall: Equatable, Sendable {
    case connect(ConnectRequest)
    case reconnect(ReconnectRequest)
    case resize(ResizeRequest)
    case disconnect(index: UInt32)
    case status
    /// Writes queue settings and reads back what holds now.
    case tune(index: UInt32, QueueSettings)
    /// Claims the device exclusively (or fails with `inUse`), flushes it, disconnects it, lets go.
    case detach(index: UInt32)

    public var operation: NBDOperation {
        switch self {
        case .connect: .connect
        case .reconnect: .reconnect
        case .resize: .resize
        case .disconnect: .disconnect
        case .status: .status
        case .tune: .tune
        case .detach: .detach
        }
    }

    /// The kernel's ends that go with the call, as descriptors of this process.
    public var sockets: [Int32] {
        switch self {
        case .connect(let request): request.sockets
        case .reconnect(let request): request.sockets
        default: []
        }
    }

    /// Makes the call here and now, in this thread; it may block for as long as the kernel likes.
    ///
    /// - Parameter caller: the socket at whose other end the answer is awaited, in a process of its own.
    public func perform(
        in system: SystemRoot = .live, for caller: Int32? = nil
    ) throws(NBDDeviceError) -> NBDCallResult {
        switch self {
        case .connect(let request):
            return .connected(index: try openControl().connect(request, in: system))
        case .reconnect(let request):
            try openControl().reconnect(request)
            return .done
        case .resize(let request):
            try openControl().resize(request, for: caller)
            return .done
        case .disconnect(let index):
            try openControl().disconnect(index: index)
            return .done
        case .status:
            return .devices(try openControl().status())
        case .tune(let index, let settings):
            return .tuned(try KernelDevice(index: index, in: system).apply(settings))
        case .detach(let index):
            let control = try openControl()
            let claim = try ExclusiveClaim(on: KernelDevice(index: index, in: system))
            try claim.flush()
            try control.disconnect(index: index)
            // Held up to here: nobody can mount it between the flush and the end.
            claim.release()
            return .done
        }
    }

    private func openControl() throws(NBDDeviceError) -> NBDControl { try NBDControl() }
}

/// The answer to an `NBDCall` that succeeded.
public enum NBDCallResult: Equatable, Sendable {
    case connected(index: UInt32)
    case done
    case devices([DeviceStatus])
    case tuned(QueueSettings)
}
