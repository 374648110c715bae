#pragma once
/// CRC32C (Castagnoli), the check code of iSCSI's digests (RFC 7143 §13.1), by the processor's own instruction.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Whether this processor has what `linux_crc32c` needs: SSE4.2 and PCLMULQDQ, or the CRC instructions of ARMv8.
bool linux_has_crc32c(void);

/// Goes on with a checksum over `count` more bytes. The first call takes 0; the result of the last is the
/// checksum, inverted as RFC 7143 wants it. Only where `linux_has_crc32c` says so.
uint32_t linux_crc32c(uint32_t crc, const void *_Nonnull bytes, size_t count);
