/* varint.h: LEB128 variable-length unsigned integers and the zigzag mapping for signed ones.
 *
 * Seven bits a byte, lowest first, the high bit set on every byte but the last; a u64 takes 1 to 10
 * bytes. The encoding is canonical: exactly one byte string stands for each number, and the reader
 * refuses every other one (overlong zeros, bits beyond 64), so that decode and encode are inverses
 * and equal data has equal bytes.
 */
#ifndef OBS_VARINT_H
#define OBS_VARINT_H

#include "obs.h"

#define OBS_VARINT_MAX_SIZE 10

/* Bytes that obs_varint_put writes for value: 1..10. */
static inline size_t obs_varint_size(uint64_t value)
{
    unsigned significant_bits = 64u - (unsigned)__builtin_clzll(value | 1);
    return (significant_bits + 6) / 7;
}

/* Writes value; out has room for OBS_VARINT_MAX_SIZE bytes. Returns the bytes written. */
static inline size_t obs_varint_put(uint8_t *out, uint64_t value)
{
    size_t size = 0;
    while (value >= 0x80) {
        out[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[size++] = (uint8_t)value;
    return size;
}

/* Reads one number at *cursor and moves *cursor behind it. OBS_ERR_CORRUPT (nothing changed) if the
 * bytes end first, do not fit 64 bits or are overlong. */
OBS_MUST_CHECK static inline int obs_varint_get(const uint8_t **cursor, const uint8_t *end, uint64_t *value)
{
    const uint8_t *at = *cursor;
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 64 && at != end; shift += 7) {
        uint8_t byte = *at++;
        result |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if ((byte == 0 && shift != 0) || (shift == 63 && byte > 1))
            return OBS_ERR_CORRUPT;
        *cursor = at;
        *value = result;
        return OBS_OK;
    }
    return OBS_ERR_CORRUPT;
}

/* 0, -1, 1, -2, ... -> 0, 1, 2, 3, ...: numbers of small magnitude become short varints. */
static inline uint64_t obs_zigzag_encode(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t obs_zigzag_decode(uint64_t value)
{
    uint64_t sign = (value & 1) ? UINT64_MAX : 0;
    return (int64_t)((value >> 1) ^ sign);
}

#endif
