/* siphash.h: SipHash-2-4-128 of many short texts under one key: the keys of ids in a ledger.
 *
 * J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF" (INDOCRYPT 2012); the variant with 128 bits is
 * that of the authors' reference code. It is part of a format: hashes of all releases must be the same.
 */
#ifndef OBS_SIPHASH_H
#define OBS_SIPHASH_H

#include "obs.h"

#define OBS_SIPHASH_KEY_BYTES 16

/* The hash of the size bytes at text: its first 64 bits, and the 64 after them. */
void obs_siphash(const uint8_t key[OBS_SIPHASH_KEY_BYTES], const uint8_t *text, size_t size, uint64_t *first,
                 uint64_t *second);

/* Of count texts, one behind the other, of lengths[i] bytes each: the first 64 bits (hi) and the next 32 (lo).
 * OBS_ERR_RANGE if the texts together are not size bytes long. */
OBS_MUST_CHECK int obs_siphash_texts(const uint8_t key[OBS_SIPHASH_KEY_BYTES], const uint8_t *lengths, size_t count,
                                     const uint8_t *texts, size_t size, uint64_t *hi, uint32_t *lo);

#endif
