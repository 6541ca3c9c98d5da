/* topk.h: the most frequent keys of a stream of any length, in constant memory.
 *
 * A Misra-Gries summary (Misra and Gries, "Finding repeated elements", 1982) of byte strings with weights, in the form
 * that merges (Agarwal et al., "Mergeable Summaries", PODS 2012). It keeps counters for up to 2k keys. When one more
 * key would be needed, the (k + 1)-th largest count is subtracted from all, and what is not positive is dropped: at
 * most k counters remain. As at least k + 1 counters lose that much at once, all that can ever be subtracted from a
 * key is total / (k + 1):
 *
 *     0 <= true count - count <= obs_topk_error <= total / (k + 1),
 *
 * also over merges in any order and any tree, and every key above the error is among the entries. While there are at
 * most k distinct keys (here: 2k) everything is exact, and merging is order-free; above, counts depend on the order
 * within the error.
 *
 * What a caller cannot give a key for can be added as other (obs_topk_add_other): it is in total, and as nobody knows
 * whose it is, the error grows by it.
 *
 *     obs_topk_t
 *     +- slots    open addressing: hash -> entry + 1, at most half full
 *     +- entries  hash, count, where the key is
 *     +- keys     the keys' bytes one after the other
 *
 * Keys are bytes of any content, empty ones included, up to OBS_TOPK_KEY_MAX. Whether a null, NaN or number is a key is
 * the caller's rule. Not thread-safe; one owner at a time. Memory is allocated with the first key.
 */
#ifndef OBS_TOPK_H
#define OBS_TOPK_H

#include "obs.h"

#define OBS_TOPK_MIN_K 1
#define OBS_TOPK_MAX_K 1024
#define OBS_TOPK_DEFAULT_K 128
#define OBS_TOPK_KEY_MAX 256 /* bytes */

typedef struct {
    uint64_t hash;
    uint64_t count;
    uint32_t key_at; /* in keys */
    uint32_t key_size;
} obs_topk_entry_t;

typedef struct {
    uint64_t total;      /* all weights, those of other included */
    uint64_t other;      /* weights that were added without a key */
    uint64_t subtracted; /* the most that was subtracted from one key */
    uint32_t k;
    uint32_t entry_count;
    uint32_t entry_capacity;
    uint32_t slot_count; /* a power of two */
    uint16_t *slots;
    obs_topk_entry_t *entries;
    uint8_t *keys;
    uint32_t key_bytes;
    uint32_t key_capacity;
} obs_topk_t;

/* One key of obs_topk_list; key is valid until the summary changes. */
typedef struct {
    const uint8_t *key;
    size_t key_size;
    uint64_t count;
} obs_topk_item_t;

/* An empty summary; allocates nothing. OBS_ERR_RANGE if k is outside 1..1024. */
OBS_MUST_CHECK int obs_topk_init(obs_topk_t *topk, uint32_t k);
/* Releases the memory and leaves a summary that may be freed again or initialised. */
void obs_topk_free(obs_topk_t *topk);
/* Empties it and keeps its memory for reuse. */
void obs_topk_reset(obs_topk_t *topk);
/* out is uninitialised memory. */
OBS_MUST_CHECK int obs_topk_copy(const obs_topk_t *topk, obs_topk_t *out);

/* weight 0 changes nothing. OBS_ERR_RANGE if the key has more than OBS_TOPK_KEY_MAX bytes or total would be 2^64 or
 * more. On failure nothing has changed. */
OBS_MUST_CHECK int obs_topk_add(obs_topk_t *topk, const void *key, size_t key_size, uint64_t weight);
/* The same where the caller has obs_hash_bytes(key, key_size) (hash.h) already. */
OBS_MUST_CHECK int obs_topk_add_hashed(obs_topk_t *topk, uint64_t hash, const void *key, size_t key_size,
                                       uint64_t weight);
/* Weight without a key. OBS_ERR_RANGE if total would be 2^64 or more. */
OBS_MUST_CHECK int obs_topk_add_other(obs_topk_t *topk, uint64_t weight);
/* Adds everything that from holds; into takes the lower of the two k. Aliasing is allowed (doubles the counts).
 * On OBS_ERR_RANGE and OBS_ERR_NOMEM into is unchanged. */
OBS_MUST_CHECK int obs_topk_merge(obs_topk_t *into, const obs_topk_t *from);

/* The order of two keys, as strcmp tells it: bytewise, and a prefix first. */
int obs_topk_compare_keys(const obs_topk_item_t *left, const obs_topk_item_t *right);
/* The (at most k) keys of largest count, by count descending and key ascending. items has room for entry_count of them;
 * returns how many were listed. */
uint32_t obs_topk_list(const obs_topk_t *topk, obs_topk_item_t *items);
/* The most by which a count may be too low: subtracted + other. No count is ever too high. */
uint64_t obs_topk_error(const obs_topk_t *topk);
/* sizeof plus everything allocated. */
size_t obs_topk_memory_bytes(const obs_topk_t *topk);

/* Compact form (grammar in topk_codec.c): lossless. It carries no checksum and no magic: its container does. */
size_t obs_topk_encoded_bound(const obs_topk_t *topk);
/* OBS_ERR_FULL if capacity is below the bound. */
OBS_MUST_CHECK int obs_topk_encode(const obs_topk_t *topk, uint8_t *out, size_t capacity, size_t *size);
/* Full validation of encoded bytes without allocation; *samples (may be NULL) = total. */
OBS_MUST_CHECK int obs_topk_check(const uint8_t *bytes, size_t size, uint64_t *samples);
/* Validates and decodes; out is uninitialised memory and untouched on failure. */
OBS_MUST_CHECK int obs_topk_decode(const uint8_t *bytes, size_t size, obs_topk_t *out);
/* Validates and adds everything that the bytes hold; into takes the lower k and is unchanged on failure. */
OBS_MUST_CHECK int obs_topk_merge_encoded(obs_topk_t *into, const uint8_t *bytes, size_t size);

#endif
