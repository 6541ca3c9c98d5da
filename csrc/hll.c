#include "hll.h"

#include <math.h>

#include "obs_alloc.h"
#include "obs_port.h"

enum { FIRST_CAPACITY = 16, RANK_BITS = 6, RANK_MASK = 63, RANKS = 64, ROW = 1 << OBS_HLL_MIN_P };

static inline uint32_t register_count(const obs_hll_t *hll)
{
    return 1u << hll->p;
}

/* Where a sparse table would be larger than the registers. */
static inline uint32_t most_sparse(const obs_hll_t *hll)
{
    return register_count(hll) / sizeof(uint32_t);
}

int obs_hll_init(obs_hll_t *hll, uint32_t p)
{
    if (p < OBS_HLL_MIN_P || p > OBS_HLL_MAX_P)
        return OBS_ERR_RANGE;
    *hll = (obs_hll_t){.p = p};
    return OBS_OK;
}

void obs_hll_free(obs_hll_t *hll)
{
    obs_free(hll->registers);
    obs_free(hll->sparse);
    *hll = (obs_hll_t){.p = hll->p};
}

void obs_hll_reset(obs_hll_t *hll)
{
    if (hll->registers != NULL)
        memset(hll->registers, 0, register_count(hll));
    if (hll->sparse != NULL)
        memset(hll->sparse, 0, hll->sparse_capacity * sizeof *hll->sparse);
    hll->used = 0;
}

int obs_hll_copy(const obs_hll_t *hll, obs_hll_t *out)
{
    obs_hll_t copy = *hll;
    size_t sparse_bytes = hll->sparse_capacity * sizeof *hll->sparse;
    if (hll->registers != NULL) {
        copy.registers = obs_malloc(register_count(hll));
        if (copy.registers == NULL)
            return OBS_ERR_NOMEM;
        memcpy(copy.registers, hll->registers, register_count(hll));
    } else if (hll->sparse != NULL) {
        copy.sparse = obs_malloc(sparse_bytes);
        if (copy.sparse == NULL)
            return OBS_ERR_NOMEM;
        memcpy(copy.sparse, hll->sparse, sparse_bytes);
    }
    *out = copy;
    return OBS_OK;
}

/* ---- The sparse table ---------------------------------------------------------------------------- */

/* The entry of a register, or the free one where it would be. The table is never full. */
static uint32_t *find_sparse(uint32_t *sparse, uint32_t capacity, uint32_t index)
{
    uint32_t at = index & (capacity - 1);
    while (sparse[at] != 0 && sparse[at] >> RANK_BITS != index)
        at = (at + 1) & (capacity - 1);
    return &sparse[at];
}

static int widen_sparse(obs_hll_t *hll, uint32_t capacity)
{
    uint32_t *sparse = obs_calloc(capacity, sizeof *sparse);
    if (sparse == NULL)
        return OBS_ERR_NOMEM;
    for (uint32_t i = 0; i < hll->sparse_capacity; i++)
        if (hll->sparse[i] != 0)
            *find_sparse(sparse, capacity, hll->sparse[i] >> RANK_BITS) = hll->sparse[i];
    obs_free(hll->sparse);
    hll->sparse = sparse;
    hll->sparse_capacity = capacity;
    return OBS_OK;
}

static int make_dense(obs_hll_t *hll)
{
    uint8_t *registers = obs_calloc(register_count(hll), 1);
    if (registers == NULL)
        return OBS_ERR_NOMEM;
    for (uint32_t i = 0; i < hll->sparse_capacity; i++)
        if (hll->sparse[i] != 0)
            registers[hll->sparse[i] >> RANK_BITS] = hll->sparse[i] & RANK_MASK;
    obs_free(hll->sparse);
    hll->sparse = NULL;
    hll->sparse_capacity = 0;
    hll->registers = registers;
    return OBS_OK;
}

/* Room for so many more registers, at most three quarters full: afterwards it is dense or has a table. */
static int reserve(obs_hll_t *hll, uint32_t extra)
{
    if (hll->registers != NULL)
        return OBS_OK;
    uint32_t capacity = hll->sparse_capacity < FIRST_CAPACITY ? FIRST_CAPACITY : hll->sparse_capacity;
    while (hll->used + extra > capacity / 4 * 3)
        capacity *= 2;
    if (capacity > most_sparse(hll))
        return make_dense(hll);
    return capacity == hll->sparse_capacity ? OBS_OK : widen_sparse(hll, capacity);
}

/* ---- Registers ----------------------------------------------------------------------------------- */

static inline uint32_t index_of(uint64_t hash, uint32_t p)
{
    return (uint32_t)(hash >> (64 - p));
}

static inline uint8_t rank_of(uint64_t hash, uint32_t p)
{
    return (uint8_t)(1 + __builtin_clzll(hash << p | UINT64_C(1) << (p - 1)));
}

/* Whether rank_of(hash) is above another rank; most are not, and to see that no zero need be counted. */
static inline int ranks_above(uint64_t hash, uint32_t p, uint8_t rank)
{
    uint64_t zeros_and_more = hash << p | UINT64_C(1) << (p - 1);
    return zeros_and_more >> 1 >> (63 - rank) == 0;
}

static inline void raise_dense(obs_hll_t *hll, uint32_t index, uint8_t rank)
{
    uint8_t before = hll->registers[index];
    if (OBS_LIKELY(rank <= before))
        return;
    hll->used += before == 0;
    hll->registers[index] = rank;
}

/* There is room for one more register. */
static void raise_sparse(obs_hll_t *hll, uint32_t index, uint8_t rank)
{
    uint32_t *entry = find_sparse(hll->sparse, hll->sparse_capacity, index);
    uint32_t raised = index << RANK_BITS | rank;
    hll->used += *entry == 0;
    *entry = *entry < raised ? raised : *entry;
}

static int add_sparse(obs_hll_t *hll, uint64_t hash)
{
    int status = reserve(hll, 1);
    if (status != OBS_OK)
        return status;
    if (hll->registers != NULL)
        raise_dense(hll, index_of(hash, hll->p), rank_of(hash, hll->p));
    else
        raise_sparse(hll, index_of(hash, hll->p), rank_of(hash, hll->p));
    return OBS_OK;
}

int obs_hll_add_hash(obs_hll_t *hll, uint64_t hash)
{
    if (hll->registers == NULL)
        return add_sparse(hll, hash);
    raise_dense(hll, index_of(hash, hll->p), rank_of(hash, hll->p));
    return OBS_OK;
}

static inline double value_at(const double *values, size_t i)
{
    double value;
    memcpy(&value, (const uint8_t *)values + i * sizeof value, sizeof value);
    return value;
}

int obs_hll_add_many(obs_hll_t *hll, const double *values, size_t value_count)
{
    size_t i = 0;
    for (; i < value_count && hll->registers == NULL; i++) {
        int status = add_sparse(hll, obs_hash_double(value_at(values, i)));
        if (status != OBS_OK)
            return status;
    }
    const uint32_t p = hll->p;
    for (; i < value_count; i++) {
        uint64_t hash = obs_hash_double(value_at(values, i));
        if (OBS_UNLIKELY(ranks_above(hash, p, hll->registers[index_of(hash, p)])))
            raise_dense(hll, index_of(hash, p), rank_of(hash, p));
    }
    return OBS_OK;
}

int obs_hll_add_many_reference(obs_hll_t *hll, const double *values, size_t value_count)
{
    for (size_t i = 0; i < value_count; i++) {
        double value = value_at(values, i);
        if (value == 0)
            value = 0; /* -0.0 */
        if (isnan(value))
            value = NAN;
        uint8_t bytes[sizeof value];
        obs_store_f64(bytes, value);
        int status = obs_hll_add_hash(hll, obs_hash_bytes(bytes, sizeof bytes));
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}

/* Sixteen registers side by side, and a count of those in use in a byte of each: so the compiler makes vectors of it.
 */
static uint32_t merge_rows(uint8_t *restrict into, const uint8_t *restrict from, uint32_t rows)
{
    uint8_t used[ROW] = {0};
    uint32_t sum = 0;
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t lane = 0; lane < ROW; lane++) {
            uint8_t ours = into[row * ROW + lane], theirs = from[row * ROW + lane];
            uint8_t larger = ours > theirs ? ours : theirs;
            into[row * ROW + lane] = larger;
            used[lane] = (uint8_t)(used[lane] + (larger > 0));
        }
    for (uint32_t lane = 0; lane < ROW; lane++)
        sum += used[lane];
    return sum;
}

static void merge_dense(obs_hll_t *into, const uint8_t *registers)
{
    uint32_t rows = register_count(into) / ROW;
    into->used = 0;
    for (uint32_t done = 0, some; done < rows; done += some) {
        some = rows - done < UINT8_MAX ? rows - done : UINT8_MAX;
        into->used += merge_rows(into->registers + done * ROW, registers + done * ROW, some);
    }
}

int obs_hll_merge(obs_hll_t *into, const obs_hll_t *from)
{
    if (into->p != from->p)
        return OBS_ERR_STATE;
    if (from->used == 0 || from == into)
        return OBS_OK;
    int status = from->registers != NULL && into->registers == NULL ? make_dense(into) : reserve(into, from->used);
    if (status != OBS_OK)
        return status;
    if (from->registers != NULL)
        merge_dense(into, from->registers);
    for (uint32_t i = 0; i < from->sparse_capacity; i++) {
        uint32_t index = from->sparse[i] >> RANK_BITS;
        uint8_t rank = from->sparse[i] & RANK_MASK;
        if (rank > 0 && into->registers != NULL)
            raise_dense(into, index, rank);
        else if (rank > 0)
            raise_sparse(into, index, rank);
    }
    return OBS_OK;
}

uint8_t obs_hll_register(const obs_hll_t *hll, uint32_t index)
{
    if (hll->registers != NULL)
        return hll->registers[index];
    return hll->sparse == NULL ? 0 : *find_sparse(hll->sparse, hll->sparse_capacity, index) & RANK_MASK;
}

size_t obs_hll_memory_bytes(const obs_hll_t *hll)
{
    return sizeof *hll + (hll->registers != NULL ? register_count(hll) : 0) +
           hll->sparse_capacity * sizeof *hll->sparse;
}

/* ---- The estimate (Ertl 2017, algorithm 6; sigma and tau are its equations 13 and 16) -------------- */

static double sigma(double x)
{
    if (x == 1)
        return INFINITY;
    double power = 1, sum = x, before;
    do {
        x *= x;
        before = sum;
        sum += x * power;
        power += power;
    } while (sum != before);
    return sum;
}

static double tau(double x)
{
    if (x == 0 || x == 1)
        return 0;
    double power = 1, sum = 1 - x, before;
    do {
        x = sqrt(x);
        before = sum;
        power *= 0.5;
        sum -= (1 - x) * (1 - x) * power;
    } while (sum != before);
    return sum / 3;
}

/* How many registers have each rank. */
static void count_ranks(const obs_hll_t *hll, uint32_t counts[RANKS])
{
    memset(counts, 0, RANKS * sizeof *counts);
    for (uint32_t i = 0; hll->registers != NULL && i < register_count(hll); i++)
        counts[hll->registers[i]]++;
    for (uint32_t i = 0; i < hll->sparse_capacity; i++)
        counts[hll->sparse[i] & RANK_MASK]++;
    counts[0] = register_count(hll) - hll->used;
}

double obs_hll_count(const obs_hll_t *hll)
{
    uint32_t counts[RANKS], longest = 64 - hll->p; /* zeros that are possible; one more is the largest rank */
    double m = register_count(hll);
    count_ranks(hll, counts);
    if (hll->used == 0)
        return 0;
    double z = m * tau(1 - counts[longest + 1] / m);
    for (uint32_t rank = longest; rank >= 1; rank--)
        z = 0.5 * (z + counts[rank]);
    z += m * sigma(counts[0] / m);
    return m * m / (2 * 0.6931471805599453 * z);
}

double obs_hll_relative_error(uint32_t p)
{
    return 1.04 / sqrt((double)(1u << p));
}
