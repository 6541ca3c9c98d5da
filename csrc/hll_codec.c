/* hll_codec.c: the compact form.
 *
 *     hll    := p, form (varints), sparse if form = 0, dense if form = 1
 *     sparse := used (varint), entry*            used <= 2^p / 4
 *     entry  := index - index of the entry before - 1 (first: index), rank (varints)
 *     dense  := ranks of six bits each, the first register in the lowest bits, 6 * 2^p / 8 bytes
 *
 * A rank is 1 .. 64 - p + 1, and in the dense form also 0. Dense are those that use more than a quarter of their
 * registers: there is one way to write the same registers.
 */
#include "hll.h"

#include "obs_alloc.h"
#include "obs_port.h"
#include "varint.h"

enum {
    HEADER_MAX_SIZE = 5,
    ENTRY_MAX_SIZE = 4, /* an index below 2^16, a rank */
    RANK_BITS = 6,
    RANK_MASK = 63,
    PACKED_RANKS = 4, /* in three bytes */
    PACKED_BYTES = 3,
    WORD_BITS = 64,
    WORDS_MAX = (1 << OBS_HLL_MAX_P) / WORD_BITS,
};

static size_t dense_size(uint32_t p)
{
    return ((size_t)1 << p) * RANK_BITS / 8;
}

static uint32_t sparse_most(uint32_t p)
{
    return (1u << p) / 4;
}

size_t obs_hll_encoded_bound(const obs_hll_t *hll)
{
    return HEADER_MAX_SIZE + (hll->used <= sparse_most(hll->p) ? hll->used * ENTRY_MAX_SIZE : dense_size(hll->p));
}

/* Which registers are used, one bit each. */
static void mark_used(const obs_hll_t *hll, uint64_t words[WORDS_MAX])
{
    memset(words, 0, ((1u << hll->p) + WORD_BITS - 1) / WORD_BITS * sizeof *words);
    for (uint32_t i = 0; hll->registers != NULL && i < 1u << hll->p; i++)
        words[i / WORD_BITS] |= (uint64_t)(hll->registers[i] > 0) << i % WORD_BITS;
    for (uint32_t i = 0; i < hll->sparse_capacity; i++) {
        uint32_t index = hll->sparse[i] >> RANK_BITS;
        words[index / WORD_BITS] |= (uint64_t)(hll->sparse[i] > 0) << index % WORD_BITS;
    }
}

static uint8_t *put_sparse(const obs_hll_t *hll, uint8_t *at)
{
    uint64_t words[WORDS_MAX];
    uint32_t following = 0;
    mark_used(hll, words);
    at += obs_varint_put(at, hll->used);
    for (uint32_t word = 0; word * WORD_BITS < 1u << hll->p; word++)
        for (uint64_t bits = words[word]; bits != 0; bits &= bits - 1) {
            uint32_t index = word * WORD_BITS + (uint32_t)__builtin_ctzll(bits);
            at += obs_varint_put(at, index - following);
            at += obs_varint_put(at, obs_hll_register(hll, index));
            following = index + 1;
        }
    return at;
}

static uint8_t *put_dense(const obs_hll_t *hll, uint8_t *at)
{
    for (uint32_t i = 0; i < 1u << hll->p; i += PACKED_RANKS, at += PACKED_BYTES) {
        uint32_t packed = 0;
        for (uint32_t lane = 0; lane < PACKED_RANKS; lane++)
            packed |= (uint32_t)obs_hll_register(hll, i + lane) << lane * RANK_BITS;
        for (uint32_t byte = 0; byte < PACKED_BYTES; byte++)
            at[byte] = (uint8_t)(packed >> byte * 8);
    }
    return at;
}

int obs_hll_encode(const obs_hll_t *hll, uint8_t *out, size_t capacity, size_t *size)
{
    if (capacity < obs_hll_encoded_bound(hll))
        return OBS_ERR_FULL;
    int dense = hll->used > sparse_most(hll->p);
    uint8_t *at = out;
    at += obs_varint_put(at, hll->p);
    at += obs_varint_put(at, (uint64_t)dense);
    at = dense ? put_dense(hll, at) : put_sparse(hll, at);
    *size = (size_t)(at - out);
    return OBS_OK;
}

typedef struct {
    uint32_t p;
    uint32_t dense;
    uint32_t used; /* of a sparse one */
} header_t;

static int read_header(const uint8_t **cursor, const uint8_t *end, header_t *header)
{
    uint64_t p, dense, used = 0;
    if (obs_varint_get(cursor, end, &p) != OBS_OK || p < OBS_HLL_MIN_P || p > OBS_HLL_MAX_P ||
        obs_varint_get(cursor, end, &dense) != OBS_OK || dense > 1)
        return OBS_ERR_CORRUPT;
    if (!dense && (obs_varint_get(cursor, end, &used) != OBS_OK || used > sparse_most((uint32_t)p)))
        return OBS_ERR_CORRUPT;
    *header = (header_t){.p = (uint32_t)p, .dense = (uint32_t)dense, .used = (uint32_t)used};
    return OBS_OK;
}

/* One entry at or behind register *following, which it moves behind it. */
static int read_entry(const uint8_t **cursor, const uint8_t *end, const header_t *header, uint32_t *following,
                      uint8_t *rank)
{
    uint64_t gap, read;
    if (obs_varint_get(cursor, end, &gap) != OBS_OK || gap >= (1u << header->p) - *following ||
        obs_varint_get(cursor, end, &read) != OBS_OK || read < 1 || read > 65 - header->p)
        return OBS_ERR_CORRUPT;
    *following += (uint32_t)gap + 1;
    *rank = (uint8_t)read;
    return OBS_OK;
}

static int check_sparse(const uint8_t *cursor, const uint8_t *end, const header_t *header)
{
    uint32_t following = 0;
    uint8_t rank;
    for (uint32_t i = 0; i < header->used; i++)
        if (following == 1u << header->p || read_entry(&cursor, end, header, &following, &rank) != OBS_OK)
            return OBS_ERR_CORRUPT;
    return cursor == end ? OBS_OK : OBS_ERR_CORRUPT;
}

static inline void unpack(const uint8_t packed[PACKED_BYTES], uint8_t ranks[PACKED_RANKS])
{
    uint32_t bits = (uint32_t)packed[0] | (uint32_t)packed[1] << 8 | (uint32_t)packed[2] << 16;
    for (uint32_t lane = 0; lane < PACKED_RANKS; lane++)
        ranks[lane] = bits >> lane * RANK_BITS & RANK_MASK;
}

static int check_dense(const uint8_t *cursor, const uint8_t *end, const header_t *header)
{
    uint32_t used = 0;
    uint8_t ranks[PACKED_RANKS], largest = 0;
    if ((size_t)(end - cursor) != dense_size(header->p))
        return OBS_ERR_CORRUPT;
    for (; cursor != end; cursor += PACKED_BYTES) {
        unpack(cursor, ranks);
        for (uint32_t lane = 0; lane < PACKED_RANKS; lane++) {
            largest = ranks[lane] > largest ? ranks[lane] : largest;
            used += ranks[lane] > 0;
        }
    }
    return largest <= 65 - header->p && used > sparse_most(header->p) ? OBS_OK : OBS_ERR_CORRUPT;
}

int obs_hll_check(const uint8_t *bytes, size_t size, uint32_t *p)
{
    header_t header;
    const uint8_t *end = bytes + size;
    int status = read_header(&bytes, end, &header);
    if (status == OBS_OK)
        status = header.dense ? check_dense(bytes, end, &header) : check_sparse(bytes, end, &header);
    if (status == OBS_OK && p != NULL)
        *p = header.p;
    return status;
}

/* A hash that raises register index to rank. */
static uint64_t hash_of(uint32_t p, uint32_t index, uint8_t rank)
{
    uint64_t lowest = (uint64_t)index << (64 - p);
    return rank == 65 - p ? lowest : lowest | UINT64_C(1) << (64 - p - rank);
}

static int take_sparse(obs_hll_t *hll, const uint8_t *cursor, const uint8_t *end, const header_t *header)
{
    uint32_t following = 0;
    uint8_t rank = 0;
    for (uint32_t i = 0; i < header->used; i++) {
        int status = read_entry(&cursor, end, header, &following, &rank);
        if (status == OBS_OK)
            status = obs_hll_add_hash(hll, hash_of(hll->p, following - 1, rank));
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}

static int take_dense(obs_hll_t *hll, const uint8_t *packed)
{
    uint32_t register_count = 1u << hll->p;
    hll->registers = obs_malloc(register_count);
    if (hll->registers == NULL)
        return OBS_ERR_NOMEM;
    for (uint32_t i = 0; i < register_count; i += PACKED_RANKS, packed += PACKED_BYTES)
        unpack(packed, hll->registers + i);
    for (uint32_t i = 0; i < register_count; i++)
        hll->used += hll->registers[i] > 0;
    return OBS_OK;
}

int obs_hll_decode(const uint8_t *bytes, size_t size, obs_hll_t *out)
{
    header_t header;
    obs_hll_t hll;
    const uint8_t *end = bytes + size;
    int status = obs_hll_check(bytes, size, NULL);
    if (status == OBS_OK)
        status = read_header(&bytes, end, &header);
    if (status == OBS_OK)
        status = obs_hll_init(&hll, header.p);
    if (status != OBS_OK)
        return status;
    status = header.dense ? take_dense(&hll, bytes) : take_sparse(&hll, bytes, end, &header);
    if (status == OBS_OK)
        *out = hll;
    else
        obs_hll_free(&hll);
    return status;
}

int obs_hll_merge_encoded(obs_hll_t *into, const uint8_t *bytes, size_t size)
{
    obs_hll_t from;
    int status = obs_hll_decode(bytes, size, &from);
    if (status != OBS_OK)
        return status;
    status = obs_hll_merge(into, &from);
    obs_hll_free(&from);
    return status;
}
