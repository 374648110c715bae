import CausewayControl
import Testing

@testable import CausewayDaemon
@testable import NBDDevice

@Suite struct DeviceErrorTests {
    @Test(arguments: [
        "modprobe: FATAL: Module nbd not found in directory /lib/modules/6.1.0-56-amd64",
        "modprobe: module nbd not found in modules.dep",
    ])
    func aModuleThatModprobeDoesNotFindIsToBeInstalled(said: String) {
        let error = ControlError(.moduleAbsent(detail: said))
        #expect(error == .nbdModuleAbsent(reason: said, isInstalled: false))
    }

    @Test(arguments: ["modprobe: ERROR: could not insert 'nbd': Operation not permitted", ""])
    func oneThatThisDaemonMayNotLoadIsToBeLoaded(said: String) {
        let error = ControlError(.moduleAbsent(detail: said))
        #expect(error == .nbdModuleAbsent(reason: said))
        #expect(error.remedy.contains("modprobe nbd"))
    }

    /// In the sandbox of the unit, where modprobe finds no module whether there is one or not.
    @Test func oneThatThisDaemonCannotSeeIsPerhapsToBeInstalled() {
        let error = ControlError(.moduleAbsent(detail: NBDDeviceError.modulesHidden))
        #expect(error == .nbdModuleAbsent(reason: NBDDeviceError.modulesHidden, isInstalled: nil))
    }

    @Test func aFamilyThatIsNotVisibleLeavesTheSocket() {
        let error = ControlError(.familyHidden)
        #expect(error.kind == .nbdModuleAbsent)
        #expect(error.remedy.contains("--socket"))
    }
}
