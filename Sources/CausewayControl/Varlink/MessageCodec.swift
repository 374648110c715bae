import FoundationEssentials

/// Between Swift values and the JSON text of one message.
public enum MessageCodec {
    /// The message with its closing NUL. Keys are sorted, so that equal values are equal bytes.
    public static func encode(_ value: some Encodable) throws(WireError) -> [UInt8] {
        var bytes = try encodeText(value, pretty: false)
        bytes.append(0)
        return bytes
    }

    /// The JSON text alone, for a terminal or a file.
    ///
    /// Pure ASCII: what a target calls itself must not reach a terminal as control characters.
    public static func encodeText(_ value: some Encodable, pretty: Bool) throws(WireError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            pretty
            ? [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted] : [.sortedKeys, .withoutEscapingSlashes]
        let text: Data
        do {
            text = try encoder.encode(value)
        } catch {
            throw .malformed(reason: "not encodable: \(error)")
        }
        return asciiOnly(text)
    }

    /// Reads one message, given without its NUL.
    public static func decode<Value: Decodable>(_: Value.Type, from message: [UInt8]) throws(WireError)
        -> Value
    {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(message))
        } catch let error as ControlError {
            throw .rejected(error)
        } catch let error as DecodingError {
            throw wireError(error)
        } catch {
            throw .malformed(reason: "\(error)")
        }
    }

    private static func wireError(_ error: DecodingError) -> WireError {
        let path: [any CodingKey]
        switch error {
        case .keyNotFound(let key, let context):
            path = context.codingPath + [key]
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            path = context.codingPath
        case .dataCorrupted(let context):
            path = context.codingPath
            if path.isEmpty { return .malformed(reason: context.debugDescription) }
        @unknown default:
            return .malformed(reason: "not what the method takes")
        }
        guard path.first?.stringValue == "parameters", path.count > 1 else {
            let name = path.first?.stringValue ?? "message"
            return .malformed(reason: "\"\(name)\" is absent or of the wrong type")
        }
        return .invalidParameter(name: path[1].stringValue)
    }

    /// Writes everything outside printable ASCII as `\uXXXX`; JSON has it only inside strings.
    private static func asciiOnly(_ text: Data) -> [UInt8] {
        if text.allSatisfy({ $0 < 0x7f }) { return Array(text) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count + 64)
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            if scalar.value < 0x7f {
                bytes.append(UInt8(scalar.value))
                continue
            }
            for unit in UTF16.encode(scalar).map(Array.init) ?? [] {
                bytes.append(contentsOf: "\\u".utf8)
                for shift in [12, 8, 4, 0] {
                    bytes.append(Array("0123456789abcdef".utf8)[Int(unit >> UInt16(shift)) & 15])
                }
            }
        }
        return bytes
    }
}
