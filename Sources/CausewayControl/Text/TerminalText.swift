extension String {
    /// The text with everything outside printable ASCII written as `\xNN`, for terminals and logs: what a
    /// target calls itself must not move a cursor, forge a line or change a title there.
    ///
    /// A backslash stays as it is, so that escaping what was escaped before changes nothing.
    public var escapedForTerminal: String {
        if utf8.allSatisfy({ (0x20...0x7e).contains($0) }) { return self }
        let digits = Array("0123456789abcdef".unicodeScalars)
        var escaped = String.UnicodeScalarView()
        for byte in utf8 {
            if (0x20...0x7e).contains(byte) {
                escaped.append(Unicode.Scalar(byte))
            } else {
                escaped.append(contentsOf: ["\\", "x", digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            }
        }
        return String(escaped)
    }
}
