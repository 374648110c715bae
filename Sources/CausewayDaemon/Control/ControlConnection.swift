import CausewayControl
import Logging

/// One client, served on its own thread from its first call to its last.
struct ControlConnection: Sendable {
    let socket: UnixSocket
    let access: Access
    /// How long a client without full access may take from one complete call to the next.
    let patienceMilliseconds: UInt32
    let dispatcher: ControlDispatcher
    let logger: Logger

    func serve() {
        var framer = MessageFramer(limitBytes: MessageFramer.callLimitBytes)
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        do throws(SystemCallError) {
            // Nobody may keep a thread by not reading; only root may keep one by silence.
            let patience = access == .full ? 0 : patienceMilliseconds
            try socket.setTimeouts(receiveMilliseconds: patience, sendMilliseconds: 10_000)
            var lastCall = MonotonicClock.milliseconds()
            while true {
                let count = try socket.receive(into: &buffer)
                if count == 0 { return }
                framer.append(buffer[..<count])
                guard let answered = try answerAll(&framer) else { return }
                let now = MonotonicClock.milliseconds()
                if answered > 0 { lastCall = now }
                guard patience == 0 || now - lastCall <= UInt64(patience) else { return }
            }
        } catch {
            // A client that went away or fell asleep is its own business.
            logger.debug("control connection ended: \(error)")
        }
    }

    /// Answers every complete message; nil when the connection is to be closed.
    private func answerAll(_ framer: inout MessageFramer) throws(SystemCallError) -> Int? {
        var answered = 0
        while true {
            let message: [UInt8]?
            do throws(WireError) {
                message = try framer.next()
            } catch {
                logger.debug("closing a control connection: \(error)")
                return nil
            }
            guard let message else { return answered }
            switch dispatcher.answer(message, access: access) {
            case .reply(let bytes): try socket.send(bytes)
            case .silence: break
            case .hangUp(let reason):
                logger.debug("closing a control connection: \(reason.escapedForTerminal)")
                return nil
            }
            answered += 1
        }
    }
}
