import CausewayCore
import Synchronization

/// The newest CHAP challenges of discoveries, the targets' and our own: none is taken twice (RFC 7143
/// §9.2.1). The sessions of disks have a memory of their own in their lane.
final class KnownChallenges: Sendable {
    static let countMax = 256
    private let challenges = Mutex<[[UInt8]]>([])

    var all: [[UInt8]] { challenges.withLock { $0 } }

    /// Remembers those of a login after its first `count`.
    func remember(_ login: [[UInt8]], after count: Int) {
        guard login.count > count else { return }
        challenges.withLock { challenges in
            challenges += login.dropFirst(count)
            challenges.removeFirst(max(challenges.count - Self.countMax, 0))
        }
    }
}
