#include "loghist_range.h"

#include <string.h>

#include "obs_alloc.h"

static size_t counter_size(const obs_loghist_range_t *range)
{
    return range->wide ? sizeof(uint64_t) : sizeof(uint32_t);
}

static size_t page_size(const obs_loghist_range_t *range)
{
    return OBS_LOGHIST_PAGE_BUCKETS * counter_size(range);
}

void obs_range_free(obs_loghist_range_t *range)
{
    obs_free(range->directory);
    obs_free(range->pages);
    memset(range, 0, sizeof *range);
}

void obs_range_clear(obs_loghist_range_t *range)
{
    if (range->page_count != 0)
        memset(range->pages, 0, range->page_count * page_size(range));
}

size_t obs_range_memory_bytes(const obs_loghist_range_t *range)
{
    return range->directory_size * sizeof(uint32_t) + range->page_capacity * page_size(range);
}

int obs_range_copy(const obs_loghist_range_t *range, obs_loghist_range_t *out)
{
    memset(out, 0, sizeof *out);
    if (range->page_count == 0)
        return OBS_OK;
    obs_loghist_range_t copy = *range;
    copy.page_capacity = range->page_count;
    copy.directory = obs_malloc(range->directory_size * sizeof(uint32_t));
    copy.pages = obs_malloc(range->page_count * page_size(range));
    if (copy.directory == NULL || copy.pages == NULL) {
        obs_range_free(&copy);
        return OBS_ERR_NOMEM;
    }
    memcpy(copy.directory, range->directory, range->directory_size * sizeof(uint32_t));
    memcpy(copy.pages, range->pages, range->page_count * page_size(range));
    *out = copy;
    return OBS_OK;
}

/* Extends the directory to cover the page. Half of the present size goes on top of what is needed, so
 * that a range which creeps outwards is not copied at each step. */
static int cover_page(obs_loghist_range_t *range, int32_t page_number)
{
    uint32_t size = range->directory_size;
    if (size == 0)
        range->first_page = page_number;
    uint32_t missing_before = 0, missing_after = 0;
    if (page_number < range->first_page)
        missing_before = (uint32_t)(range->first_page - page_number) + size / 2;
    else if ((uint32_t)(page_number - range->first_page) >= size)
        missing_after = (uint32_t)(page_number - range->first_page) - size + 1 + size / 2;
    else
        return OBS_OK;

    uint32_t new_size = size + missing_before + missing_after;
    uint32_t *directory = obs_realloc(range->directory, new_size * sizeof(uint32_t));
    if (directory == NULL)
        return OBS_ERR_NOMEM;
    memmove(directory + missing_before, directory, size * sizeof(uint32_t));
    memset(directory, 0, missing_before * sizeof(uint32_t));
    memset(directory + missing_before + size, 0, missing_after * sizeof(uint32_t));
    range->directory = directory;
    range->directory_size = new_size;
    range->first_page -= (int32_t)missing_before;
    return OBS_OK;
}

static int grow_pages(obs_loghist_range_t *range)
{
    uint32_t capacity = range->page_capacity + range->page_capacity / 2 + 1;
    void *pages = obs_realloc(range->pages, capacity * page_size(range));
    if (pages == NULL)
        return OBS_ERR_NOMEM;
    range->pages = pages;
    range->page_capacity = capacity;
    return OBS_OK;
}

int obs_range_reserve_page(obs_loghist_range_t *range, int32_t page_number)
{
    if (obs_range_find(range, page_number) != SIZE_MAX)
        return OBS_OK;
    int status = cover_page(range, page_number);
    if (status == OBS_OK && range->page_count == range->page_capacity)
        status = grow_pages(range);
    if (status != OBS_OK)
        return status;
    memset((uint8_t *)range->pages + range->page_count * page_size(range), 0, page_size(range));
    range->directory[page_number - range->first_page] = ++range->page_count;
    return OBS_OK;
}

static int widen(obs_loghist_range_t *range)
{
    if (range->page_capacity != 0) {
        uint64_t *wide = obs_malloc((size_t)range->page_capacity * OBS_LOGHIST_PAGE_BUCKETS * sizeof(uint64_t));
        if (wide == NULL)
            return OBS_ERR_NOMEM;
        const uint32_t *narrow = range->pages;
        for (size_t i = 0; i < (size_t)range->page_count * OBS_LOGHIST_PAGE_BUCKETS; i++)
            wide[i] = narrow[i];
        obs_free(range->pages);
        range->pages = wide;
    }
    range->wide = 1;
    return OBS_OK;
}

int obs_range_reserve_total(obs_loghist_range_t *range, uint64_t total)
{
    return range->wide || total <= UINT32_MAX ? OBS_OK : widen(range);
}

int obs_range_page_is_empty(const obs_loghist_range_t *range, size_t page)
{
    const uint8_t *bytes = (const uint8_t *)range->pages + page * counter_size(range);
    uint64_t seen = 0;
    for (size_t offset = 0; offset < page_size(range); offset += sizeof seen) {
        uint64_t word;
        memcpy(&word, bytes + offset, sizeof word);
        seen |= word;
    }
    return seen == 0;
}

int obs_range_pages_exist(const obs_loghist_range_t *range, int32_t first_page, int32_t last_page)
{
    for (int32_t page_number = first_page; page_number <= last_page; page_number++)
        if (obs_range_find(range, page_number) == SIZE_MAX)
            return 0;
    return 1;
}

int obs_range_reserve_merge(obs_loghist_range_t *into, const obs_loghist_range_t *from, int shift)
{
    for (uint32_t position = 0; position < from->directory_size; position++) {
        int32_t page_number = from->first_page + (int32_t)position;
        size_t counters = obs_range_find(from, page_number);
        if (counters == SIZE_MAX || obs_range_page_is_empty(from, counters))
            continue;
        int status = obs_range_reserve_page(into, obs_floor_shift(page_number, shift));
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}

static void add_narrow_to_narrow(uint32_t *sums, const uint32_t *counts)
{
    for (int i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        sums[i] += counts[i];
}

static void add_narrow_to_wide(uint64_t *sums, const uint32_t *counts)
{
    for (int i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        sums[i] += counts[i];
}

static void add_wide_to_narrow(uint32_t *sums, const uint64_t *counts)
{
    for (int i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        sums[i] += (uint32_t)counts[i];
}

static void add_wide_to_wide(uint64_t *sums, const uint64_t *counts)
{
    for (int i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        sums[i] += counts[i];
}

/* One page onto the page of the same number. */
static void add_page(obs_loghist_range_t *into, size_t to, const obs_loghist_range_t *from, size_t at)
{
    if (into->wide && from->wide)
        add_wide_to_wide((uint64_t *)into->pages + to, (const uint64_t *)from->pages + at);
    else if (into->wide)
        add_narrow_to_wide((uint64_t *)into->pages + to, (const uint32_t *)from->pages + at);
    else if (from->wide)
        add_wide_to_narrow((uint32_t *)into->pages + to, (const uint64_t *)from->pages + at);
    else
        add_narrow_to_narrow((uint32_t *)into->pages + to, (const uint32_t *)from->pages + at);
}

/* One page onto its share of a coarser page (or, beyond a shift of 6, onto one bucket). */
static void fold_page(obs_loghist_range_t *into, size_t to, const obs_loghist_range_t *from, size_t at,
                      int32_t page_number, int shift)
{
    for (int i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++) {
        int32_t bucket = obs_floor_shift(page_number * OBS_LOGHIST_PAGE_BUCKETS + i, shift);
        obs_range_increase(into, to + obs_page_offset(bucket), obs_range_counter(from, at + (size_t)i));
    }
}

void obs_range_merge(obs_loghist_range_t *into, const obs_loghist_range_t *from, int shift)
{
    for (uint32_t position = 0; position < from->directory_size; position++) {
        int32_t page_number = from->first_page + (int32_t)position;
        size_t at = obs_range_find(from, page_number);
        size_t to = obs_range_find(into, obs_floor_shift(page_number, shift));
        if (at == SIZE_MAX || to == SIZE_MAX) /* absent, or empty and so not reserved */
            continue;
        if (shift == 0)
            add_page(into, to, from, at);
        else
            fold_page(into, to, from, at, page_number, shift);
    }
}
