/* Merges the compact form: checked first, then page by page. */
#include <assert.h>
#include <string.h>

#include "loghist_merge.h"
#include "loghist_read.h"

/* The pages of a checked range once more. */
typedef struct {
    obs_reader_t reader;
    uint64_t left;
    obs_encoded_page_t page;
} walk_t;

static walk_t walk_pages(const obs_encoded_range_t *range, const uint8_t *end)
{
    return (walk_t){{range->pages, end}, range->page_count, {.page_number = range->first_page - 1}};
}

/* Steps to the next page; the caller takes or skips its excesses. */
static int next_page(walk_t *walk)
{
    if (walk->left == 0)
        return 0;
    walk->left--;
    int status = obs_read_page(&walk->reader, walk->page.page_number + 1, &walk->page);
    assert(status == OBS_OK);
    (void)status;
    return 1;
}

static uint64_t take_excess(walk_t *walk)
{
    uint64_t excess = 0;
    int status = obs_read_varint(&walk->reader, &excess);
    assert(status == OBS_OK);
    (void)status;
    return excess;
}

static void skip_excesses(walk_t *walk)
{
    for (unsigned left = obs_escape_count(&walk->page, walk->reader.end); left != 0; left--)
        take_excess(walk);
}

static int reserve_range(obs_loghist_range_t *into, const obs_encoded_range_t *from, const uint8_t *end, int shift)
{
    int32_t first_page = obs_floor_shift(from->first_page, shift), last_page = obs_floor_shift(from->last_page, shift);
    if (from->page_count == 0 || obs_range_pages_exist(into, first_page, last_page))
        return OBS_OK;
    walk_t walk = walk_pages(from, end);
    while (next_page(&walk)) {
        int status = obs_range_reserve_page(into, obs_floor_shift(walk.page.page_number, shift));
        if (status != OBS_OK)
            return status;
        skip_excesses(&walk);
    }
    return OBS_OK;
}

/* One byte a field; up to seven bytes behind the last mean nothing. */
static void unpack(const obs_encoded_page_t *page, const uint8_t *limit, uint8_t fields[OBS_LOGHIST_PAGE_BUCKETS])
{
    const uint8_t *packed = page->fields;
    uint8_t copy[OBS_LOGHIST_PAGE_BUCKETS + sizeof(uint64_t)] = {0};
    if ((size_t)(limit - packed) < page->fields_size + sizeof(uint64_t)) /* whole words are read */
        packed = memcpy(copy, packed, page->fields_size);
    for (unsigned i = 0; i < page->field_count; i += 8) {
        obs_store_u64(fields + i, obs_fields_spread(obs_load_u64(packed), page->width_code));
        packed += (size_t)1 << page->width_code;
    }
}

/* Without a branch on the bitmap: the cheaper way as soon as half of the buckets are occupied. */
static void expand_evenly(uint64_t bitmap, const uint8_t *fields, uint16_t *counts)
{
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i += 8)
        for (unsigned j = 0; j < 8; j++) {
            unsigned occupied = bitmap & 1;
            counts[i + j] = (uint16_t)((*fields & (0u - occupied)) + occupied);
            fields += occupied;
            bitmap >>= 1;
        }
}

static void expand_rarely(uint64_t bitmap, const uint8_t *fields, uint16_t *counts)
{
    memset(counts, 0, OBS_LOGHIST_PAGE_BUCKETS * sizeof *counts);
    for (; bitmap != 0; bitmap &= bitmap - 1)
        counts[__builtin_ctzll(bitmap)] = (uint16_t)(*fields++ + 1);
}

/* The counts of all 64 buckets, excesses apart. */
static void expand_page(const obs_encoded_page_t *page, const uint8_t *limit, uint16_t *counts)
{
    uint8_t fields[OBS_LOGHIST_PAGE_BUCKETS + 1] = {0}; /* expand_evenly looks one further */
    unpack(page, limit, fields);
    if (page->base == 0)
        for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
            counts[i] = fields[i];
    else if (page->field_count > OBS_LOGHIST_PAGE_BUCKETS / 2)
        expand_evenly(page->bitmap, fields, counts);
    else
        expand_rarely(page->bitmap, fields, counts);
}

/* A page of encoded counts and the page that it is added to, which may be coarser. */
typedef struct {
    obs_loghist_range_t *range;
    size_t page;
    int32_t first_bucket; /* of the encoded page */
    int shift;
} destination_t;

static void increase(const destination_t *to, unsigned i, uint64_t count)
{
    int32_t bucket = obs_floor_shift(to->first_bucket + (int32_t)i, to->shift);
    obs_range_increase(to->range, to->page + obs_page_offset(bucket), count);
}

static void add_counts(const destination_t *to, const uint16_t *counts)
{
    if (to->shift == 0 && !to->range->wide) {
        uint32_t *counters = (uint32_t *)to->range->pages + to->page;
        for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
            counters[i] += counts[i];
        return;
    }
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        increase(to, i, counts[i]);
}

static void add_page(obs_loghist_range_t *into, walk_t *walk, int shift)
{
    const obs_encoded_page_t *page = &walk->page;
    destination_t to = {into, obs_range_find(into, obs_floor_shift(page->page_number, shift)),
                        page->page_number * OBS_LOGHIST_PAGE_BUCKETS, shift};
    uint16_t counts[OBS_LOGHIST_PAGE_BUCKETS];
    expand_page(page, walk->reader.end, counts);
    add_counts(&to, counts);
    if (obs_escape_count(page, walk->reader.end) == 0)
        return;
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        if (counts[i] == obs_fields_escape(page->width_code) + page->base)
            increase(&to, i, take_excess(walk));
}

static void add_range(obs_loghist_range_t *into, const obs_encoded_range_t *from, const uint8_t *end, int shift)
{
    walk_t walk = walk_pages(from, end);
    while (next_page(&walk))
        add_page(into, &walk, shift);
}

int obs_loghist_merge_encoded(obs_loghist_t *into, const uint8_t *bytes, size_t size)
{
    obs_encoded_t from;
    int status = obs_loghist_read_checked(bytes, size, &from);
    if (status != OBS_OK)
        return status;
    obs_loghist_t lowered, *target;
    status = obs_loghist_merge_begin(into, from.totals.scale, &lowered, &target);
    if (status != OBS_OK)
        return status;
    int shift = from.totals.scale - target->scale;
    const uint8_t *end = bytes + size;
    status = obs_loghist_merge_reserve(target, &from.totals);
    if (status == OBS_OK)
        status = reserve_range(&target->positive, &from.positive, end, shift);
    if (status == OBS_OK)
        status = reserve_range(&target->negative, &from.negative, end, shift);
    if (status == OBS_OK) {
        add_range(&target->positive, &from.positive, end, shift);
        add_range(&target->negative, &from.negative, end, shift);
        obs_loghist_merge_totals(target, &from.totals);
    }
    return obs_loghist_merge_finish(into, target, status);
}
