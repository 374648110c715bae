import CausewayControl
import NBDDevice

extension ControlError {
    /// What the kernel's NBD driver refused, as a client is told.
    init(_ error: NBDDeviceError) {
        switch error {
        case .moduleAbsent(let detail):
            self = .nbdModuleAbsent(
                reason: detail.escapedForTerminal, isInstalled: error.moduleIsInstalled)
        case .familyHidden:
            self.init(
                kind: .nbdModuleAbsent, message: "\(error)",
                remedy: "or export the disk on a Unix socket with --socket PATH")
        case .refused(_, _, let errno) where errno == 1:
            self = .permissionDenied("attach kernel devices (CAP_SYS_ADMIN)")
        default: self = .internalFailure("\(error)")
        }
    }
}
