import CLinux
public import CausewayCore

/// CRC32C as fast as this machine can.
public enum ProcessorChecksum {
    /// By the processor's instruction; nil where it has none.
    public static let instruction: Checksum? = linux_has_crc32c() ? unsafe linux_crc32c : nil

    public static let fastest: Checksum = unsafe instruction ?? CRC32C.portable
}
