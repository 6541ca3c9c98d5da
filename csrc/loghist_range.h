/* loghist_range.h: the sparse counters under a histogram's positive and negative range. Private to loghist*.c.
 *
 *   directory          pages
 *   first_page     --> [ 64 counters ]     bucket index = page number * 64 + offset
 *              +1  0   (absent)
 *              +2  --> [ 64 counters ]
 *
 * Counters change in two steps, so that an operation over many of them can fail before it has changed
 * any: reserve (may allocate, changes no count), then add (cannot fail). A reserved page whose
 * counters are all zero is no different from an absent one to every reader.
 */
#ifndef OBS_LOGHIST_RANGE_H
#define OBS_LOGHIST_RANGE_H

#include "loghist.h"

#define OBS_LOGHIST_PAGE_SHIFT 6
#define OBS_LOGHIST_PAGE_MASK (OBS_LOGHIST_PAGE_BUCKETS - 1)

/* Page of a bucket, and bucket of a coarser scale: floor division by a power of two. gcc and clang both
 * define the right shift of a negative number as arithmetic. */
static inline int32_t obs_floor_shift(int32_t index, int shift)
{
    return index >> shift;
}

static inline int32_t obs_page_number(int32_t bucket)
{
    return obs_floor_shift(bucket, OBS_LOGHIST_PAGE_SHIFT);
}

static inline uint32_t obs_page_offset(int32_t bucket)
{
    return (uint32_t)bucket & OBS_LOGHIST_PAGE_MASK;
}

/* Index of the first counter of a page, or SIZE_MAX if the page is absent. */
static inline size_t obs_range_find(const obs_loghist_range_t *range, int32_t page_number)
{
    uint32_t position = (uint32_t)page_number - (uint32_t)range->first_page;
    if (position >= range->directory_size || range->directory[position] == 0)
        return SIZE_MAX;
    return (size_t)(range->directory[position] - 1) * OBS_LOGHIST_PAGE_BUCKETS;
}

static inline uint64_t obs_range_counter(const obs_loghist_range_t *range, size_t counter_index)
{
    return range->wide ? ((const uint64_t *)range->pages)[counter_index]
                       : ((const uint32_t *)range->pages)[counter_index];
}

/* The page is reserved, and narrow counters have room for the weight. */
static inline void obs_range_increase(obs_loghist_range_t *range, size_t counter_index, uint64_t weight)
{
    if (range->wide)
        ((uint64_t *)range->pages)[counter_index] += weight;
    else
        ((uint32_t *)range->pages)[counter_index] += (uint32_t)weight;
}

void obs_range_free(obs_loghist_range_t *range);
/* Zeroes every counter and keeps the memory. */
void obs_range_clear(obs_loghist_range_t *range);
size_t obs_range_memory_bytes(const obs_loghist_range_t *range);
OBS_MUST_CHECK int obs_range_copy(const obs_loghist_range_t *range, obs_loghist_range_t *out);

/* Whether all counters of a page (named by its first) are zero. */
int obs_range_page_is_empty(const obs_loghist_range_t *range, size_t page);
/* Whether every page from first to last exists. */
int obs_range_pages_exist(const obs_loghist_range_t *range, int32_t first_page, int32_t last_page);

/* Makes the page exist. */
OBS_MUST_CHECK int obs_range_reserve_page(obs_loghist_range_t *range, int32_t page_number);
/* Makes the counters 64 bits wide if a counter could exceed 32 bits once the range holds `total`. */
OBS_MUST_CHECK int obs_range_reserve_total(obs_loghist_range_t *range, uint64_t total);
/* Pages for everything `from` counts, its bucket indices shifted right by `shift`. Aliasing is allowed. */
OBS_MUST_CHECK int obs_range_reserve_merge(obs_loghist_range_t *into, const obs_loghist_range_t *from, int shift);
/* Adds what was reserved. Aliasing is allowed with shift 0. */
void obs_range_merge(obs_loghist_range_t *into, const obs_loghist_range_t *from, int shift);

#endif
