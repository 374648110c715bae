import CausewayControl
import Glibc
import LinuxSystem
public import Logging

/// The daemon from start to end, on the main thread.
public enum Daemon {
    /// The daemon as `causewayd` runs it.
    public static func run(_ options: DaemonOptions) throws(DaemonError) {
        guard geteuid() == 0 else { throw .notRoot }
        // While there is no other thread: it changes the environment.
        let passed = PassedDescriptors.take()
        let measures = harden()
        try run(
            options,
            makeService: { (logger: Logger) throws(DaemonError) in
                for measure in measures where !measure.isDone { logger.warning("\(measure)") }
                return try Supervisor(options: options, logger: logger, passed: passed)
            },
            start: {
                $0.adoptAll()
                $0.attachConfiguredDisks()
                $0.showLife()
            },
            stop: { $0.stop() })
    }

    /// Serves until SIGTERM or SIGINT, then stops in order. SIGHUP has the configuration read again.
    ///
    /// `makeService` is called once the signals are blocked, so that threads it starts do not take them;
    /// `start` when the control socket stands, so that only one daemon gets there; `stop` after the last
    /// client has been answered.
    public static func run<Service: DiskService>(
        _ options: DaemonOptions, makeService: (Logger) throws(DaemonError) -> Service,
        start: (Service) -> Void = { _ in }, stop: (Service) -> Void
    ) throws(DaemonError) {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGTERM)
        unsafe sigaddset(&signals, SIGINT)
        unsafe sigaddset(&signals, SIGHUP)
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
        // A reader of the log or a peer that goes away is an error of that write, never the daemon's end.
        signal(SIGPIPE, SIG_IGN)

        let output: LogOutput
        do throws(SystemError) {
            output = try LogOutput()
        } catch {
            throw .system(error)
        }
        defer { output.flush(milliseconds: 1000) }
        var logger = Logger(label: "causewayd") { _ in
            LogLines(output: output, isJournal: LogLines.isUnderJournal)
        }
        logger.logLevel = options.logLevel

        let service = try makeService(logger)
        let server: ControlServer
        do throws(ControlServerError) {
            server = try ControlServer(
                ControlServer.Configuration(path: options.controlPath), service: service, logger: logger)
        } catch {
            stop(service)
            throw .control(error)
        }
        logger.info("causewayd \(CausewayVersion.current) serves \(options.controlPath)")
        start(service)
        // Nobody waits for it where there is no service manager, and one that does not listen is none.
        let manager = ServiceNotification()
        try? manager?.ready(status: "serves \(options.controlPath)")
        var signal: Int32 = 0
        while unsafe sigwait(&signals, &signal) != 0 || signal == SIGHUP {
            if signal == SIGHUP { reload(service, logger) }
            signal = 0
        }
        try? manager?.stopping()
        logger.info("stopping on \(signal == SIGTERM ? "SIGTERM" : "SIGINT")")
        server.stop()
        stop(service)
    }

    /// On a thread of its own: a reload may wait for paths, and SIGTERM does not wait for that.
    private static func reload(_ service: some DiskService, _ logger: Logger) {
        do throws(SystemError) {
            let thread = try startThread(name: "reload") {
                do throws(ControlError) {
                    let report = try service.reload(ReloadRequest())
                    let count = report.disks.count { $0.outcome == .changed }
                    logger.info("reloaded on SIGHUP: \(count) disks are changed")
                } catch {
                    logger.error("not reloaded on SIGHUP: \(error.message.escapedForTerminal)")
                }
            }
            _ = consume thread
        } catch {
            logger.error("not reloaded on SIGHUP: no thread can be started: \(error)")
        }
    }
}
