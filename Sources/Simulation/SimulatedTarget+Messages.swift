import CausewayCore

/// What the target says of its own accord.
extension SimulatedTarget {
    /// Every session is sent an Asynchronous Message (RFC 7143 §11.9) of a SCSI event.
    func sendAsynchronousMessages() {
        for session in sessions {
            for connection in session.living {
                var message = connection.header(.asynchronousMessage, countsStatus: true)
                if takesConfusion() { message[6] &+= 3 }
                message[4] = reservedTag
                connection.send(message, [0, 0])
            }
        }
    }

    /// One condition for every session.
    func raise(_ sense: Sense, lun: UInt64) {
        for session in sessions where session.attentions[lun]?.contains(sense) != true {
            session.attentions[lun, default: []].append(sense)
        }
    }

    /// The target goes away from this connection: nothing more comes, what arrives is still carried out.
    func halfClose(_ number: Int) {
        connections.first { $0.connection.number == number }?.halfClose()
    }
}
