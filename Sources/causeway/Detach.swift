import ArgumentParser
import CausewayControl
import Glibc
import NBDDevice

struct Detach: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Flush a disk, take its device away and log out.")

    @Argument(help: "The disk's name.", completion: .attachedDisks, transform: DiskName.argument)
    var name: DiskName

    @Flag(help: "Detach although the disk is in use; what still waits is answered with an error.")
    var force = false

    @Flag(help: "Remove the disk's file too, so that it stays detached.")
    var forget = false

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        var failure: ControlClientError?
        do throws(ControlClientError) {
            var client = try ControlClient(path: connection.path)
            try client.detach(DetachRequest(name: name, force: force, forget: forget))
        } catch {
            failure = error
        }
        guard let failure else { return }
        // Without a daemon there is still the device.
        if case .notRunning = failure, force, try takeAway() { return }
        Terminal.complain(failure.message, remedy: failure.remedy)
        throw ExitCode.failure
    }

    /// Disconnects the disk's device. False if there is none.
    ///
    /// The call is made in a process of its own: where the kernel does not come back from it, this command
    /// does.
    private func takeAway() throws -> Bool {
        let devices = KernelDevice.all().filter {
            $0.backendIdentifier?.hasPrefix("causeway:\(name):") == true && $0.isConfigured
        }
        guard !devices.isEmpty else { return false }
        let calls = NBDCallRunner()
        for device in devices {
            do throws(NBDDeviceError) {
                let outcome = try calls.run(.disconnect(index: device.index), timeLimitMilliseconds: 4000)
                guard case .timedOut = outcome else { continue }
                Terminal.complain(
                    "the kernel has not let go of \(device.node) within 4 s",
                    remedy: "see dmesg; the call goes on by itself")
            } catch {
                Terminal.complain("\(error)", remedy: "run the command as root")
            }
            throw ExitCode.failure
        }
        return true
    }
}
