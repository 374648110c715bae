import CFuzzer
import FuzzTargets
import Glibc

/// `FUZZ_TARGET=lane Fuzz [libFuzzer's options] [CORPUS…]`: feeds one of `FuzzTarget` with what libFuzzer
/// makes up.
private let chosen: FuzzTarget = {
    let name = unsafe getenv("FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
        let known = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
        preconditionFailure("FUZZ_TARGET is one of \(known)")
    }
    return target
}()

/// What libFuzzer calls with each input.
@c(LLVMFuzzerTestOneInput)
public func fuzzOne(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe chosen.run(UnsafeRawBufferPointer(start: bytes, count: count))
    return 0
}

@main
struct Fuzz {
    static func main() {
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
        let status = unsafe LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
            unsafe fuzzOne(bytes, count)
        }
        exit(status)
    }
}
