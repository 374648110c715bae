/// Why a run, or a part of it, cannot go on; each says what to do where the reader can do something.
enum BenchError: Error, CustomStringConvertible {
    case toolMissing(String, package: String)
    case notBuilt(String)
    case cannotStart(String, errno: Int32)
    case exited(String, status: Int32, log: String)
    case timedOut(String, seconds: Double)
    case system(String, errno: Int32)
    case unusable(String)
    case interrupted(signal: Int32)

    var description: String {
        switch self {
        case .toolMissing(let tool, let package):
            "\(tool) is not installed: apt-get install \(package)"
        case .notBuilt(let program):
            "\(program) is not beside this program: swift build -c release"
        case .cannotStart(let program, let errno):
            "\(program) cannot be started: \(errorText(errno))"
        case .exited(let program, let status, let log):
            "\(program) ended with status \(status)\(log.isEmpty ? "" : ": \(log)")"
        case .timedOut(let what, let seconds):
            "\(what): no result after \(seconds) s"
        case .system(let call, let errno):
            "\(call): \(errorText(errno))"
        case .unusable(let why):
            why
        case .interrupted(let signal):
            "stopped by signal \(signal)"
        }
    }
}
