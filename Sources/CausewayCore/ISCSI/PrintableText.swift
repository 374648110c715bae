/// Text from a peer, made safe for a log or a terminal: control, format and other invisible characters are
/// written as `\u{…}`, quotes and backslashes are escaped, and what is longer than `limit` characters is cut
/// with `…`.
public func printable(_ text: some StringProtocol, limit: Int = 256) -> String {
    var result = ""
    var count = 0
    for scalar in text.unicodeScalars {
        if count == limit { return result + "…" }
        count += 1
        switch scalar {
        case "\\": result += "\\\\"
        case "\"": result += "\\\""
        case " "..."~": result.unicodeScalars.append(scalar)
        default:
            if isVisible(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
    }
    return result
}

/// Whether a character beyond ASCII shows on a screen without changing what stands around it.
func isVisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
        .spaceSeparator:
        false
    default: scalar != "\u{fffd}"
    }
}
