import Testing

@testable import CausewayCore

@Suite struct DiskSettingsTests {
    /// Sets a key and says what came of it: the text in force, or the error.
    private func set(_ key: String, _ text: String) -> Result<String?, DiskSettingError> {
        var settings = DiskSettings()
        do throws(DiskSettingError) {
            try settings.set(key, to: text)
            return .success(settings.texts[key])
        } catch {
            return .failure(error)
        }
    }

    @Test func everySettingInForceIsOneThatCanBeSet() throws {
        var settings = DiskSettings()
        for (key, text) in DiskSettings().texts { try settings.set(key, to: text) }
        #expect(settings == DiskSettings())
        #expect(Set(settings.texts.keys) == Set(DiskSetting.all.map(\.key)))
        #expect(Set(DiskSetting.all.map(\.key)).count == DiskSetting.all.count)
        #expect(DiskSetting.all.allSatisfy { !$0.allowed.isEmpty })
    }

    @Test func timers() {
        #expect(set("noop-interval", "10s") == .success("10s"))
        #expect(set("noop-timeout", "1500ms") == .success("1500ms"))
        #expect(set("recovery-timeout", "2m") == .success("120s"))
        #expect(set("login-timeout", "30s") == .success("30s"))
        #expect(
            set("noop-interval", "1ms")
                == .failure(
                    .wrongValue(
                        key: "noop-interval", reason: "1ms is not from 500ms to 600s",
                        allowed: "500ms to 600s")))
    }

    @Test func policies() {
        #expect(set("policy", "round-robin") == .success("round-robin"))
        #expect(set("policy", "round-robin,ios=8,bytes=64k") == .success("round-robin"))
        #expect(set("policy", "round-robin,ios=1") == .success("round-robin,ios=1"))
        #expect(set("policy", "round-robin,bytes=1M,ios=3") == .success("round-robin,ios=3,bytes=1M"))
        for text in [
            "least-queue-depth", "service-time", "fixed", "most-recently-used", "fixed,preferred=eth1",
            "fixed,preferred=eth1/10.0.1.1:3260", "fixed,preferred=[2001:db8::1]:3261",
        ] {
            #expect(set("policy", text) == .success(text))
        }
        #expect(set("policy", "round-robin,bytes=513") == .success("round-robin,bytes=513"))
    }

    @Test(arguments: [
        ("sideways", "there is no policy \"sideways\""), ("", "there is no policy \"\""),
        ("round-robin,ios=0", "ios: 0 is not from 1 to 65536"),
        ("round-robin,ios=x", "ios: \"x\" is not a whole number"),
        ("round-robin,ios=", "ios: \"\" is not a whole number"),
        ("round-robin,bytes=511", "bytes: 511 is not from 512 to 1G"),
        (
            "round-robin,bytes=99999999999G",
            "bytes: \"99999999999G\" is not a number of bytes, such as 65536 or 64k"
        ),
        ("round-robin,ios", "\"ios\" is not option=value"), ("round-robin,", "\"\" is not option=value"),
        ("round-robin,ios=1,ios=2", "ios stands twice"),
        ("fixed,preferred=", "preferred: no path is named"),
        ("service-time,ios=1", "service-time has no option \"ios\""),
        ("round-robin,io=1", "round-robin has no option \"io\""),
    ])
    func wrongPolicies(_ text: String, _ reason: String) {
        #expect(
            set("policy", text)
                == .failure(.wrongValue(key: "policy", reason: reason, allowed: PathPolicy.allowed)))
    }

    @Test func pathNames() {
        let names = ["eth1", "10.0.1.1", "10.0.1.1:3260", "eth1/10.0.1.1", "eth1/10.0.1.1:3260"]
        for name in names {
            #expect(PathName(name).fits(interface: "eth1", portal: "10.0.1.1:3260"), "\(name)")
            #expect(!PathName(name).fits(interface: "eth2", portal: "10.0.1.2:3260"), "\(name)")
        }
        #expect(!PathName("10.0.1.1").fits(interface: "eth1", portal: "10.0.1.1:3261"))
        #expect(PathName("[2001:db8::1]").fits(interface: "", portal: "[2001:db8::1]:3260"))
        #expect(!PathName("eth").fits(interface: "eth1", portal: "10.0.1.1:3260"))
    }

    @Test(arguments: ["header-digest", "data-digest"])
    func digests(_ key: String) {
        #expect(DiskSettings().texts[key] == "none")
        for text in ["none", "prefer-none", "prefer-crc32c", "crc32c"] {
            #expect(set(key, text) == .success(text))
        }
        #expect(
            set(key, "CRC32C")
                == .failure(
                    .wrongValue(
                        key: key, reason: "there is no digest \"CRC32C\"",
                        allowed: "none, prefer-none, prefer-crc32c, crc32c")))
    }

    @Test(arguments: [
        ("polcy", "policy"), ("Policy", "policy"), ("pol", "policy"), ("zzz", nil), ("", nil),
    ])
    func unknownKeys(_ key: String, _ nearest: String?) {
        #expect(set(key, "x") == .failure(.unknownKey(key, nearest: nearest)))
    }

    @Test func times() throws {
        let read = SettingText.milliseconds(1...3_600_000)
        #expect(try [read("1ms"), read("30s"), read("5m"), read("1h")] == [1, 30_000, 300_000, 3_600_000])
        for text in ["", "5", "s", "-1s", "1.5s", "2h", "0ms", "99999999999999999999s", "1 s"] {
            #expect(throws: WrongSettingValue.self) { _ = try read(text) }
        }
        #expect([SettingText.time(1500), SettingText.time(140_000)] == ["1500ms", "140s"])
    }

    @Test func sizesAndWords() throws {
        #expect(
            [512, 1024, 65536, 1 << 20, 3 << 30].map(SettingText.size) == ["512", "1k", "64k", "1M", "3G"])
        let read = SettingText.word(["on": true, "off": false])
        #expect(try [read("on"), read("off")] == [true, false])
        #expect(throws: WrongSettingValue("\"maybe\" is none of on, off")) { _ = try read("maybe") }
    }
}
