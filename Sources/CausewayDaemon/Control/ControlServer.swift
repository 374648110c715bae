public import CausewayControl
import Glibc
public import Logging
import Synchronization

/// The control socket: accepts clients and gives each a thread, up to a bound.
///
/// One thread accepts and does all the bookkeeping (`AcceptLoop`); the others tell it through a pipe what
/// happened. Nothing else is shared, and a descriptor is closed only once nobody uses it.
public final class ControlServer: Sendable {
    public struct Configuration: Sendable {
        public var path: String
        public var connectionsMax = 32
        /// Of these, so many at most for clients without full access, who could else lock root out.
        public var readOnlyConnectionsMax = 16
        /// How long a client without full access may take from one complete call to the next.
        public var patienceMilliseconds: UInt32 = 60_000
        /// How long `stop()` waits for calls under way.
        public var graceMilliseconds: UInt32 = 5_000
        /// Who may do what.
        public var access: @Sendable (PeerCredentials) -> Access = Access.byUser

        public init(path: String = ControlClient.defaultPath) {
            self.path = path
        }
    }

    private let acceptor: pthread_t
    private let events: EventPipe
    private let stopped = Atomic(false)

    /// Opens the socket and serves it on threads of its own until `stop()`.
    ///
    /// Threads inherit the caller's signal mask, so block first what they shall not take.
    public init(
        _ configuration: Configuration, service: any DiskService, logger: Logger
    ) throws(ControlServerError) {
        let endpoint = try ControlEndpoint(path: configuration.path)
        do throws(SystemCallError) {
            events = try EventPipe()
        } catch {
            throw .system(error)
        }
        let loop = AcceptLoop(
            configuration: configuration, endpoint: endpoint, events: events,
            service: service, logger: logger)
        do throws(SystemCallError) {
            acceptor = try ControlThread.start(detached: false) { loop.run() }
        } catch {
            events.close()
            throw .system(error)
        }
    }

    deinit {
        stop()
    }

    /// Takes no more calls, lets those under way end within the grace time, removes the socket. Idempotent.
    public func stop() {
        guard !stopped.exchange(true, ordering: .acquiringAndReleasing) else { return }
        events.send(AcceptLoop.stopWord)
        pthread_join(acceptor, nil)
    }
}
