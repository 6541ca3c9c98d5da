/* hostile.h: every prefix of some bytes, and many flipped copies, each in memory of exactly its size, so
 * that AddressSanitizer sees one byte read too far. */
#ifndef OBS_HOSTILE_H
#define OBS_HOSTILE_H

#include <string.h>

#include "check.h"

/* What is done with mutilated bytes; it returns a status and must not crash. */
typedef int (*hostile_reader_t)(const uint8_t *bytes, size_t size);

static inline int hostile_read_copy(hostile_reader_t read, const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    CHECK(copy != NULL);
    if (size != 0)
        memcpy(copy, bytes, size);
    int status = read(size == 0 ? copy + 1 : copy, size); /* at the end of what was allocated */
    free(copy);
    return status;
}

/* Reads every proper prefix; returns how many were accepted. */
static inline size_t hostile_truncations(hostile_reader_t read, const uint8_t *bytes, size_t size)
{
    size_t accepted = 0;
    for (size_t prefix = 0; prefix < size; prefix++)
        accepted += hostile_read_copy(read, bytes, prefix) == OBS_OK;
    return accepted;
}

/* Reads copies with one to four random bits flipped; returns how many were accepted. */
static inline size_t hostile_flips(hostile_reader_t read, const uint8_t *bytes, size_t size, size_t rounds,
                                   uint64_t seed)
{
    size_t accepted = 0;
    uint8_t *flipped = malloc(size);
    CHECK(flipped != NULL);
    for (size_t round = 0; round < rounds; round++) {
        memcpy(flipped, bytes, size);
        for (uint64_t flips = 1 + check_random(&seed) % 4; flips > 0; flips--) {
            uint64_t bit = check_random(&seed) % (size * 8);
            flipped[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        accepted += hostile_read_copy(read, flipped, size) == OBS_OK;
    }
    free(flipped);
    return accepted;
}

#endif
