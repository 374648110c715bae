import CCrypto
import CausewayCore

/// The hash functions of CHAP, from OpenSSL's libcrypto.
enum CHAPHash {
    static let functions = CHAPFunctions(
        hash: { (algorithm, identifier, secret, challenge) throws(CHAPHashError) in
            try unsafe respond(algorithm, identifier, secret, challenge)
        },
        // From the kernel's generator.
        randomBytes: { count in (0..<count).map { _ in UInt8.random(in: .min ... .max) } })

    /// H(identifier ‖ secret ‖ challenge).
    ///
    /// The function is looked up each time: what a library under FIPS rules does not give (MD5) is an error
    /// here, and works again when the rules change.
    ///
    /// - Parameter library: nil: the process's own, as the machine's openssl.cnf has it.
    static func respond(
        _ algorithm: CHAPAlgorithm, _ identifier: UInt8, _ secret: CHAPSecret, _ challenge: [UInt8],
        library: OpaquePointer? = nil
    ) throws(CHAPHashError) -> [UInt8] {
        ERR_clear_error()
        guard let function = unsafe EVP_MD_fetch(library, name(algorithm), nil) else {
            throw CHAPHashError(
                reason: "the OpenSSL library does not offer it, as under FIPS rules: \(lastError())")
        }
        defer { unsafe EVP_MD_free(function) }
        guard let context = unsafe EVP_MD_CTX_new() else { throw CHAPHashError(reason: lastError()) }
        // Wipes its inner state too.
        defer { unsafe EVP_MD_CTX_free(context) }
        var identifier = identifier
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: UInt32 = 0
        let isDone =
            unsafe EVP_DigestInit_ex(context, function, nil) == 1
            && EVP_DigestUpdate(context, &identifier, 1) == 1
            && secret.withBytes { unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) } == 1
            && EVP_DigestUpdate(context, challenge, challenge.count) == 1
            && EVP_DigestFinal_ex(context, &digest, &count) == 1
        guard isDone, count == algorithm.digestByteCount else { throw CHAPHashError(reason: lastError()) }
        return Array(digest.prefix(Int(count)))
    }

    /// As OpenSSL's providers name them.
    private static func name(_ algorithm: CHAPAlgorithm) -> String {
        switch algorithm {
        case .md5: "MD5"
        case .sha1: "SHA1"
        case .sha256: "SHA2-256"
        case .sha3256: "SHA3-256"
        }
    }

    private static func lastError() -> String {
        let code = ERR_peek_last_error()
        guard code != 0 else { return "no reason is given" }
        var text = [CChar](repeating: 0, count: 256)
        unsafe ERR_error_string_n(code, &text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
