#include "crc32c.h"

#include <string.h>

static inline uint64_t word_at(const unsigned char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

#if defined(__x86_64__)

#include <immintrin.h>

#define CRC32C_CODE __attribute__((target("sse4.2,pclmul")))

/// Bytes of each of three streams that run side by side: the instruction takes three cycles, and one can begin
/// in each. Two sizes, so that a page gains as well as a whole burst. Measured on an EPYC at 10 GB/s with one
/// stream: 24 GB/s for 4 KiB, 30 GB/s for 256 KiB; a table of 8 KiB manages 2.
enum { LONG_STREAM = 2048, SHORT_STREAM = 256 };

/// What a stream's checksum is multiplied with to stand n bytes further ahead: x^(8n - 33) modulo the polynomial,
/// bit 31 standing for x^0. A carry-less product lacks one power of x, and the CRC instruction adds 32 as it
/// reduces the product.
enum {
    ONE_SHORT = 0xb9e02b86,  // n = 256
    TWO_SHORT = 0xdd7e3b0c,  // n = 512
    ONE_LONG = 0xa51b6135,   // n = 2048
    TWO_LONG = 0x82f89c77,   // n = 4096
};

CRC32C_CODE static inline uint64_t product(uint64_t crc, uint32_t multiplier) {
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(
        _mm_cvtsi64_si128((long long)crc), _mm_cvtsi64_si128((long long)multiplier), 0));
}

/// Three adjacent streams of `length` bytes, joined at the end.
CRC32C_CODE static inline uint64_t three_streams(
    uint64_t crc, const unsigned char *bytes, size_t length, uint32_t one, uint32_t two) {
    uint64_t second = 0, third = 0;
    for (size_t at = 0; at < length; at += 8) {
        crc = _mm_crc32_u64(crc, word_at(bytes + at));
        second = _mm_crc32_u64(second, word_at(bytes + length + at));
        third = _mm_crc32_u64(third, word_at(bytes + 2 * length + at));
    }
    return third ^ _mm_crc32_u64(0, product(crc, two) ^ product(second, one));
}

bool linux_has_crc32c(void) { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"); }

CRC32C_CODE uint32_t linux_crc32c(uint32_t before, const void *data, size_t count) {
    const unsigned char *bytes = data;
    uint64_t crc = (uint32_t)~before;
    for (; count >= 3 * LONG_STREAM; bytes += 3 * LONG_STREAM, count -= 3 * LONG_STREAM)
        crc = three_streams(crc, bytes, LONG_STREAM, ONE_LONG, TWO_LONG);
    for (; count >= 3 * SHORT_STREAM; bytes += 3 * SHORT_STREAM, count -= 3 * SHORT_STREAM)
        crc = three_streams(crc, bytes, SHORT_STREAM, ONE_SHORT, TWO_SHORT);
    for (; count >= 8; bytes += 8, count -= 8) crc = _mm_crc32_u64(crc, word_at(bytes));
    for (; count > 0; bytes++, count--) crc = _mm_crc32_u8((uint32_t)crc, *bytes);
    return ~(uint32_t)crc;
}

#elif defined(__aarch64__)

#include <sys/auxv.h>

#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif

#define CRC32C_CODE __attribute__((target("crc")))

bool linux_has_crc32c(void) { return getauxval(AT_HWCAP) & HWCAP_CRC32; }

CRC32C_CODE uint32_t linux_crc32c(uint32_t before, const void *data, size_t count) {
    const unsigned char *bytes = data;
    uint32_t crc = ~before;
    for (; count >= 8; bytes += 8, count -= 8) crc = __builtin_arm_crc32cd(crc, word_at(bytes));
    for (; count > 0; bytes++, count--) crc = __builtin_arm_crc32cb(crc, *bytes);
    return ~crc;
}

#else

bool linux_has_crc32c(void) { return false; }

uint32_t linux_crc32c(uint32_t before, const void *data, size_t count) {
    (void)data;
    (void)count;
    return before;
}

#endif
