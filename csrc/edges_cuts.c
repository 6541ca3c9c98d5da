/* The cut points and their table, and adding many values over them: a block of values at a time, first the cell of
 * each, then the bin of each, then their counters, without a branch. */
#include <math.h>

#include "edges.h"
#include "obs_alloc.h"
#include "obs_port.h"
#include "radix_sort.h"

enum { BLOCK = 256 };

/* Cells to try, fewest first: more are taken only where they save a comparison. */
static const uint32_t CELL_COUNTS[] = {256, 1024, 4096};

/* ---- The table ----------------------------------------------------------------------------------- */

/* The cell of any double; NaN has one too, which means nothing. Never falls where values rise. */
static inline uint32_t cell_of_value(const obs_cuts_t *cuts, double value)
{
    double cell = (value - cuts->low) * cuts->scale, last = cuts->cell_count - 1;
    cell = cell > 0 ? cell : 0;
    return (uint32_t)(int32_t)(cell < last ? cell : last);
}

static inline uint32_t cell_of_key(const obs_cuts_t *cuts, double value)
{
    uint64_t key = obs_key_from_f64(value + 0.0);
    uint64_t cell = key > cuts->low_key ? (key - cuts->low_key) >> cuts->key_shift : 0;
    return (uint32_t)(cell < cuts->cell_count ? cell : cuts->cell_count - 1);
}

static inline uint32_t cell_of(const obs_cuts_t *cuts, double value)
{
    return cuts->key_shift == 0 ? cell_of_value(cuts, value) : cell_of_key(cuts, value);
}

/* Comparisons that a table needs: enough for its fullest cell. The successor of the last cut, which is the last bound,
 * is in its cell or alone in the next. */
static uint32_t steps_of(const obs_cuts_t *cuts)
{
    uint32_t fullest = 0, run = 0, before = UINT32_MAX;
    for (uint32_t i = 0; i < cuts->cut_count; i++) {
        uint32_t cell = cell_of(cuts, cuts->cuts[i]);
        run = cell == before ? run + 1 : 1;
        fullest = run > fullest ? run : fullest;
        before = cell;
    }
    return 32u - (uint32_t)__builtin_clz(fullest);
}

static int cut_by_value(obs_cuts_t *cuts, uint32_t cell_count)
{
    double low = cuts->cuts[0], width = cuts->cuts[cuts->cut_count - 1] - low;
    cuts->key_shift = 0;
    cuts->cell_count = cell_count;
    cuts->low = low;
    cuts->scale = cell_count / width;
    return isfinite(width) && isfinite(cuts->scale);
}

static void cut_by_key(obs_cuts_t *cuts, uint32_t cell_count)
{
    cuts->cell_count = cell_count;
    cuts->low_key = obs_key_from_f64(cuts->cuts[0]);
    uint64_t width = obs_key_from_f64(cuts->cuts[cuts->cut_count - 1]) - cuts->low_key;
    cuts->key_shift = 1;
    while (width >> cuts->key_shift >= cell_count)
        cuts->key_shift++;
}

/* Of values and keys, and of few cells and many, what needs the fewest comparisons. */
static void choose_cells(obs_cuts_t *cuts)
{
    obs_cuts_t best = *cuts, tried = *cuts;
    best.steps = UINT32_MAX;
    for (size_t i = 0; i < sizeof CELL_COUNTS / sizeof *CELL_COUNTS; i++) {
        if (cut_by_value(&tried, CELL_COUNTS[i]) && (tried.steps = steps_of(&tried)) < best.steps)
            best = tried;
        cut_by_key(&tried, CELL_COUNTS[i]);
        if ((tried.steps = steps_of(&tried)) < best.steps)
            best = tried;
    }
    *cuts = best;
}

static void fill_starts(obs_cuts_t *cuts)
{
    uint32_t filled = 0;
    for (uint32_t i = 0; i < cuts->cut_count; i++)
        for (uint32_t cell = cell_of(cuts, cuts->bounds[i]); filled <= cell; filled++)
            cuts->starts[filled] = (uint8_t)i;
    for (; filled < cuts->cell_count; filled++)
        cuts->starts[filled] = (uint8_t)(cuts->cut_count - 1);
}

/* The bounds behind the last cut, so that the comparisons of any cell stay inside of them. */
static size_t bound_count_of(const obs_cuts_t *cuts)
{
    return (size_t)cuts->cut_count + (1u << cuts->steps);
}

static int ascend(const double *values, uint32_t cut_count)
{
    for (uint32_t i = 0; i < cut_count; i++)
        if (!isfinite(values[i]) || (i > 0 && !(values[i - 1] < values[i])))
            return 0;
    return 1;
}

static void fill_bounds(obs_cuts_t *cuts)
{
    uint32_t last = cuts->cut_count - 1;
    memcpy(cuts->bounds, cuts->cuts, last * sizeof *cuts->cuts);
    cuts->bounds[last] = nextafter(cuts->cuts[last], INFINITY);
    for (size_t i = cuts->cut_count; i < bound_count_of(cuts); i++)
        cuts->bounds[i] = INFINITY;
}

int obs_cuts_init(obs_cuts_t *cuts, const double *values, uint32_t cut_count)
{
    if (cut_count < OBS_EDGES_MIN_CUTS || cut_count > OBS_EDGES_MAX_CUTS || !ascend(values, cut_count))
        return OBS_ERR_RANGE;
    obs_cuts_t made = {.cut_count = cut_count};
    made.cuts = obs_malloc(cut_count * sizeof *made.cuts);
    if (made.cuts == NULL)
        return OBS_ERR_NOMEM;
    for (uint32_t i = 0; i < cut_count; i++)
        made.cuts[i] = values[i] + 0.0; /* -0.0 becomes 0.0 */
    choose_cells(&made);
    made.bounds = obs_malloc(bound_count_of(&made) * sizeof *made.bounds);
    made.starts = obs_malloc(made.cell_count);
    if (made.bounds == NULL || made.starts == NULL) {
        obs_cuts_free(&made);
        return OBS_ERR_NOMEM;
    }
    fill_bounds(&made);
    fill_starts(&made);
    *cuts = made;
    return OBS_OK;
}

void obs_cuts_free(obs_cuts_t *cuts)
{
    obs_free(cuts->cuts);
    obs_free(cuts->bounds);
    obs_free(cuts->starts);
    *cuts = (obs_cuts_t){0};
}

size_t obs_cuts_memory_bytes(const obs_cuts_t *cuts)
{
    return sizeof *cuts + (cuts->cut_count + bound_count_of(cuts)) * sizeof *cuts->cuts + cuts->cell_count;
}

/* ---- Values -------------------------------------------------------------------------------------- */

/* The number of bounds <= value, of which first are known to be. */
__attribute__((always_inline)) static inline uint32_t count_bounds(const double *bounds, uint32_t first, double value,
                                                                   uint32_t steps)
{
    while (steps-- > 0)
        first += (uint32_t)(bounds[first + (1u << steps) - 1] <= value) << steps;
    return first;
}

uint32_t obs_cuts_bin(const obs_cuts_t *cuts, double value)
{
    return count_bounds(cuts->bounds, cuts->starts[cell_of(cuts, value)], value, cuts->steps);
}

static inline double value_at(const double *values, size_t i)
{
    double value;
    memcpy(&value, (const uint8_t *)values + i * sizeof value, sizeof value);
    return value;
}

/* As one loop over the bits, of which the compiler makes vectors. */
__attribute__((always_inline)) static inline int any_not_finite(const double *values, size_t count)
{
    const uint64_t exponent = UINT64_C(0x7ff) << 52;
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, (const uint8_t *)values + i * sizeof bits, sizeof bits);
        found |= (bits & exponent) == exponent;
    }
    return found != 0;
}

/* What is not finite is counted behind the last bin, where nobody reads. Bins are all told before the first is counted:
 * to count in the same loop is no faster, and at some addresses of the tables half as fast. */
__attribute__((always_inline)) static inline void add_block(obs_edges_t *edges, const obs_cuts_t *cuts,
                                                            const double *values, size_t count, uint32_t steps)
{
    uint32_t bins[BLOCK]; /* and the cells at first */
    if (cuts->key_shift == 0)
        for (size_t i = 0; i < count; i++)
            bins[i] = cell_of_value(cuts, value_at(values, i));
    else
        for (size_t i = 0; i < count; i++)
            bins[i] = cell_of_key(cuts, value_at(values, i));
    for (size_t i = 0; i < count; i++)
        bins[i] = count_bounds(cuts->bounds, cuts->starts[bins[i]], value_at(values, i), steps);
    if (OBS_UNLIKELY(any_not_finite(values, count)))
        for (size_t i = 0; i < count; i++)
            bins[i] = isfinite(value_at(values, i)) ? bins[i] : edges->bin_count;
    uint64_t *counts = edges->counts;
    double *sums = edges->sums;
    for (size_t i = 0; i < count; i++) {
        counts[bins[i]]++;
        sums[bins[i]] += value_at(values, i);
    }
}

typedef void add_some_t(obs_edges_t *edges, const obs_cuts_t *cuts, const double *values, size_t count);

__attribute__((always_inline)) static inline void add_some(obs_edges_t *edges, const obs_cuts_t *cuts,
                                                           const double *values, size_t count)
{
    switch (cuts->steps) { /* a constant is unrolled */
    case 1:
        add_block(edges, cuts, values, count, 1);
        break;
    case 2:
        add_block(edges, cuts, values, count, 2);
        break;
    case 3:
        add_block(edges, cuts, values, count, 3);
        break;
    default:
        add_block(edges, cuts, values, count, cuts->steps);
    }
}

static void add_some_plain(obs_edges_t *edges, const obs_cuts_t *cuts, const double *values, size_t count)
{
    add_some(edges, cuts, values, count);
}

OBS_TARGET("avx2")
static void add_some_wide(obs_edges_t *edges, const obs_cuts_t *cuts, const double *values, size_t count)
{
    add_some(edges, cuts, values, count);
}

int obs_edges_add_many(obs_edges_t *edges, const obs_cuts_t *cuts, const double *values, size_t value_count)
{
    if (edges->bin_count != cuts->cut_count + 1)
        return OBS_ERR_STATE;
    if (value_count > UINT64_MAX - edges->total)
        return OBS_ERR_RANGE;
    uint64_t *not_finite = &edges->counts[edges->bin_count];
    *not_finite = 0;
    add_some_t *add = OBS_CPU_HAS("avx2") ? add_some_wide : add_some_plain;
    for (size_t done = 0; done < value_count; done += BLOCK) {
        size_t left = value_count - done;
        const double *block = (const double *)(const void *)((const uint8_t *)values + done * sizeof *values);
        for (size_t i = BLOCK; left >= 2 * BLOCK && i < 2 * BLOCK; i += OBS_CACHE_LINE / sizeof *values)
            OBS_PREFETCH_READ((const uint8_t *)block + i * sizeof *values); /* of the next block */
        add(edges, cuts, block, left < BLOCK ? left : BLOCK);
    }
    edges->total += value_count - *not_finite;
    return OBS_OK;
}
