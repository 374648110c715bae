import CausewayControl
import Testing

@Suite struct DiskNameTests {
    @Test(arguments: ["a", "0", "data1", "a-b_c", "9-", String(repeating: "x", count: 32)])
    func takes(name: String) throws {
        #expect(try DiskName(name).text == name)
    }

    @Test(arguments: [
        "", "-a", "_a", "A", "data 1", "../x", "a/b", "a.b", "\u{e4}", "a\0", "a\n",
        String(repeating: "x", count: 33),
    ])
    func refuses(name: String) {
        #expect(!DiskName.isValid(name))
        #expect {
            try DiskName(name)
        } throws: {
            ($0 as? ControlError)?.kind == .invalidName
        }
    }
}
