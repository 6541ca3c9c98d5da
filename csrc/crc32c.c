#include "crc32c.h"

#include "crc32c_table.h"
#include "obs_port.h"

#define REFLECTED_POLYNOMIAL 0x82f63b78u

uint32_t obs_crc32c_reference(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) ? REFLECTED_POLYNOMIAL : 0);
    }
    return ~crc;
}

uint32_t obs_crc32c_portable(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    crc = ~crc;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word = obs_load_u64(at) ^ crc;
        crc = 0;
        for (int i = 0; i < 8; i++)
            crc ^= OBS_CRC32C_TABLE[7 - i][(word >> (8 * i)) & 0xff];
    }
    for (; size != 0; size--, at++)
        crc = (crc >> 8) ^ OBS_CRC32C_TABLE[0][(crc ^ *at) & 0xff];
    return ~crc;
}

#if OBS_ARCH_X86_64
OBS_TARGET("sse4.2") static uint32_t crc32c_sse42(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t wide = (uint32_t)~crc;
    for (; size >= 8; size -= 8, at += 8)
        wide = __builtin_ia32_crc32di(wide, obs_load_u64(at));
    crc = (uint32_t)wide;
    for (; size != 0; size--, at++)
        crc = __builtin_ia32_crc32qi(crc, *at);
    return ~crc;
}
#endif

uint32_t obs_crc32c(uint32_t crc, const void *bytes, size_t size)
{
#if OBS_ARCH_X86_64
    if (OBS_CPU_HAS("sse4.2"))
        return crc32c_sse42(crc, bytes, size);
#endif
    return obs_crc32c_portable(crc, bytes, size);
}
