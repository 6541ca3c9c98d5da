/* hash.h: the 64-bit hash of keys and numbers in sketches: XXH64 with seed 0, after its public specification
 * (Collet, "xxHash fast digest algorithm", doc/xxhash_spec.md).
 *
 * It is part of the formats: hashes of different processes, machines and releases must be the same, or distinct values
 * would be counted twice. It is no protection against somebody who looks for collisions.
 */
#ifndef OBS_HASH_H
#define OBS_HASH_H

#include "obs_port.h"

#define OBS_HASH_PRIME_1 UINT64_C(0x9E3779B185EBCA87)
#define OBS_HASH_PRIME_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define OBS_HASH_PRIME_3 UINT64_C(0x165667B19E3779F9)
#define OBS_HASH_PRIME_4 UINT64_C(0x85EBCA77C2B2AE63)
#define OBS_HASH_PRIME_5 UINT64_C(0x27D4EB2F165667C5)
#define OBS_HASH_STRIPE 32

static inline uint64_t obs_hash_rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static inline uint64_t obs_hash_round(uint64_t lane, uint64_t input)
{
    return obs_hash_rotate(lane + input * OBS_HASH_PRIME_2, 31) * OBS_HASH_PRIME_1;
}

static inline uint64_t obs_hash_word(uint64_t hash, uint64_t word)
{
    return obs_hash_rotate(hash ^ obs_hash_round(0, word), 27) * OBS_HASH_PRIME_1 + OBS_HASH_PRIME_4;
}

static inline uint64_t obs_hash_avalanche(uint64_t hash)
{
    hash = (hash ^ hash >> 33) * OBS_HASH_PRIME_2;
    hash = (hash ^ hash >> 29) * OBS_HASH_PRIME_3;
    return hash ^ hash >> 32;
}

/* The whole stripes of 32 bytes, in four lanes; moves *at behind them. */
static inline uint64_t obs_hash_stripes(const uint8_t **at, const uint8_t *end)
{
    static const int ROTATIONS[] = {1, 7, 12, 18};
    uint64_t lanes[] = {OBS_HASH_PRIME_1 + OBS_HASH_PRIME_2, OBS_HASH_PRIME_2, 0, 0 - OBS_HASH_PRIME_1};
    for (; end - *at >= OBS_HASH_STRIPE; *at += OBS_HASH_STRIPE)
        for (int lane = 0; lane < 4; lane++)
            lanes[lane] = obs_hash_round(lanes[lane], obs_load_u64(*at + 8 * lane));
    uint64_t hash = 0;
    for (int lane = 0; lane < 4; lane++)
        hash += obs_hash_rotate(lanes[lane], ROTATIONS[lane]);
    for (int lane = 0; lane < 4; lane++)
        hash = (hash ^ obs_hash_round(0, lanes[lane])) * OBS_HASH_PRIME_1 + OBS_HASH_PRIME_4;
    return hash;
}

/* Of any bytes; bytes may be unaligned, and NULL if size is 0. */
static inline uint64_t obs_hash_bytes(const void *bytes, size_t size)
{
    const uint8_t *at = bytes, *end = at + size;
    uint64_t hash = size >= OBS_HASH_STRIPE ? obs_hash_stripes(&at, end) : OBS_HASH_PRIME_5;
    hash += size;
    for (; end - at >= 8; at += 8)
        hash = obs_hash_word(hash, obs_load_u64(at));
    if (end - at >= 4) {
        hash = obs_hash_rotate(hash ^ obs_load_u32(at) * OBS_HASH_PRIME_1, 23) * OBS_HASH_PRIME_2 + OBS_HASH_PRIME_3;
        at += 4;
    }
    for (; at != end; at++)
        hash = obs_hash_rotate(hash ^ *at * OBS_HASH_PRIME_5, 11) * OBS_HASH_PRIME_1;
    return obs_hash_avalanche(hash);
}

/* Of a number: the hash of its eight bytes, little-endian, with -0.0 taken as 0.0 and every NaN as the same one. */
static inline uint64_t obs_hash_double(double value)
{
    uint64_t bits;
    value += 0.0; /* -0.0 becomes 0.0 */
    memcpy(&bits, &value, sizeof bits);
    bits = value == value ? bits : UINT64_C(0x7ff8000000000000);
    return obs_hash_avalanche(obs_hash_word(OBS_HASH_PRIME_5 + sizeof bits, bits));
}

#endif
