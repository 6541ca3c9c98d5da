/* Reads the compact form; loghist_codec.h has its grammar. Bytes are checked completely before the first of
 * them is believed, so the merge proper has nothing left to refuse. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "loghist_codec.h"
#include "loghist_index.h"
#include "loghist_merge.h"
#include "obs_port.h"
#include "varint.h"

/* Bucket of the least positive double at scale 8. */
#define LEAST_BUCKET (-274945)
/* From how many occupied buckets on a page is added without looking at which they are. */
#define DENSE_FIELD_COUNT 32
/* Pages of any scale lie well within these. */
#define LEAST_PAGE INT16_MIN
#define GREATEST_PAGE INT16_MAX

typedef struct {
    const uint8_t *cursor;
    const uint8_t *end;
} reader_t;

static size_t bytes_left(const reader_t *reader)
{
    return (size_t)(reader->end - reader->cursor);
}

static int read_varint(reader_t *reader, uint64_t *value)
{
    return obs_varint_get(&reader->cursor, reader->end, value);
}

static int read_f64(reader_t *reader, double *value)
{
    if (bytes_left(reader) < sizeof *value)
        return OBS_ERR_CORRUPT;
    *value = obs_load_f64(reader->cursor);
    reader->cursor += sizeof *value;
    return OBS_OK;
}

/* One page as it lies in the bytes. */
typedef struct {
    int32_t page_number;
    unsigned width_code;
    uint64_t bitmap;
    unsigned field_count;
    const uint8_t *fields;
    size_t fields_size;
} page_t;

/* Reads a page up to its excesses, where the reader then stands. next_page is the number it has without a gap. */
static int read_page(reader_t *reader, int32_t next_page, page_t *page)
{
    uint64_t gap_and_code;
    int status = read_varint(reader, &gap_and_code);
    if (status != OBS_OK)
        return status;
    uint64_t gap = gap_and_code >> 2;
    if (gap > (uint64_t)(GREATEST_PAGE - LEAST_PAGE) || bytes_left(reader) < sizeof page->bitmap)
        return OBS_ERR_CORRUPT;
    page->page_number = next_page + (int32_t)gap;
    page->width_code = gap_and_code & 3;
    page->bitmap = obs_load_u64(reader->cursor);
    reader->cursor += sizeof page->bitmap;
    page->field_count = obs_bits_set(page->bitmap);
    page->fields = reader->cursor;
    page->fields_size = obs_fields_size(page->width_code, page->field_count);
    if (page->bitmap == 0 || page->page_number > GREATEST_PAGE || bytes_left(reader) < page->fields_size)
        return OBS_ERR_CORRUPT;
    reader->cursor += page->fields_size;
    return OBS_OK;
}

/* The bytes from `at` up to `end` (at most eight of them) as the low bytes of a word; reads not beyond `limit`. */
static uint64_t load_word(const uint8_t *at, const uint8_t *end, const uint8_t *limit)
{
    size_t size = (size_t)(end - at);
    if (size >= sizeof(uint64_t))
        return obs_load_u64(at);
    if ((size_t)(limit - at) >= sizeof(uint64_t))
        return obs_load_u64(at) & ((UINT64_C(1) << (8 * size)) - 1);
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

static unsigned escape_count(const page_t *page, const uint8_t *limit)
{
    const uint8_t *fields_end = page->fields + page->fields_size;
    unsigned escaped = 0;
    for (const uint8_t *at = page->fields; at < fields_end; at += sizeof(uint64_t))
        escaped += obs_fields_escaped(load_word(at, fields_end, limit), page->width_code);
    return escaped;
}

/* Adds the counts of a page, whose excesses come next, to *total. */
static int sum_page(reader_t *reader, const page_t *page, uint64_t *total)
{
    const uint8_t *fields_end = page->fields + page->fields_size;
    unsigned escaped = 0;
    uint64_t sum = page->field_count;
    for (const uint8_t *at = page->fields; at < fields_end; at += sizeof(uint64_t)) {
        uint64_t word = load_word(at, fields_end, reader->end);
        sum += obs_fields_sum(word, page->width_code);
        escaped += obs_fields_escaped(word, page->width_code);
    }
    unsigned last_byte_bits = (page->field_count << page->width_code) % 8;
    if (last_byte_bits != 0 && fields_end[-1] >> last_byte_bits != 0)
        return OBS_ERR_CORRUPT;
    for (; escaped != 0; escaped--) {
        uint64_t excess;
        if (read_varint(reader, &excess) != OBS_OK || excess > UINT64_MAX - sum)
            return OBS_ERR_CORRUPT;
        sum += excess;
    }
    if (sum > UINT64_MAX - *total)
        return OBS_ERR_CORRUPT;
    *total += sum;
    return OBS_OK;
}

/* A checked range: where its pages are and what they hold. */
typedef struct {
    const uint8_t *pages;
    uint64_t page_count;
    int32_t first_page;
    int32_t last_page;
    int32_t lowest; /* buckets */
    int32_t highest;
    uint64_t total;
} encoded_range_t;

static int read_range(reader_t *reader, int scale, encoded_range_t *range)
{
    uint64_t first_page;
    if (read_varint(reader, &first_page) != OBS_OK || read_varint(reader, &range->page_count) != OBS_OK)
        return OBS_ERR_CORRUPT;
    int64_t first = obs_zigzag_decode(first_page);
    if (range->page_count == 0 || first < LEAST_PAGE || first > GREATEST_PAGE)
        return OBS_ERR_CORRUPT;
    range->first_page = (int32_t)first;
    range->pages = reader->cursor;
    page_t page = {.page_number = (int32_t)first - 1};
    for (uint64_t i = 0; i < range->page_count; i++) {
        if (read_page(reader, page.page_number + 1, &page) != OBS_OK ||
            sum_page(reader, &page, &range->total) != OBS_OK)
            return OBS_ERR_CORRUPT;
        if (i == 0)
            range->lowest = page.page_number * OBS_LOGHIST_PAGE_BUCKETS + __builtin_ctzll(page.bitmap);
        if (i == 0 && page.page_number != range->first_page)
            return OBS_ERR_CORRUPT;
    }
    range->last_page = page.page_number;
    range->highest = page.page_number * OBS_LOGHIST_PAGE_BUCKETS + 63 - __builtin_clzll(page.bitmap);
    /* That the highest one exists will follow from the minimum or maximum, which must lie in it. */
    int32_t least = obs_floor_shift(LEAST_BUCKET, OBS_LOGHIST_MAX_SCALE - scale);
    return range->lowest >= least ? OBS_OK : OBS_ERR_CORRUPT;
}

/* A checked histogram: its totals (their ranges empty) and its ranges. */
typedef struct {
    obs_loghist_t totals;
    encoded_range_t positive;
    encoded_range_t negative;
} encoded_t;

/* Subtracts each part from whole; returns 0 if they are more than that. */
static int take_parts(uint64_t *whole, uint64_t a, uint64_t b, uint64_t c)
{
    if (a > *whole || b > *whole - a || c > *whole - a - b)
        return 0;
    *whole -= a + b + c;
    return 1;
}

static int read_totals(reader_t *reader, unsigned head, obs_loghist_t *totals)
{
    if (read_varint(reader, &totals->count) != OBS_OK)
        return OBS_ERR_CORRUPT;
    if (totals->count != 0 && (read_f64(reader, &totals->sum) != OBS_OK || read_f64(reader, &totals->min) != OBS_OK ||
                               read_f64(reader, &totals->max) != OBS_OK))
        return OBS_ERR_CORRUPT;
    if ((head & OBS_LOGHIST_HEAD_ZERO) &&
        (read_varint(reader, &totals->zero_count) != OBS_OK || totals->zero_count == 0))
        return OBS_ERR_CORRUPT;
    if ((head & OBS_LOGHIST_HEAD_NONFINITE) == 0)
        return OBS_OK;
    if (read_varint(reader, &totals->nan_count) != OBS_OK ||
        read_varint(reader, &totals->positive_infinity_count) != OBS_OK ||
        read_varint(reader, &totals->negative_infinity_count) != OBS_OK)
        return OBS_ERR_CORRUPT;
    uint64_t room = UINT64_MAX - totals->count;
    int fits = take_parts(&room, totals->nan_count, totals->positive_infinity_count, totals->negative_infinity_count);
    return fits && room != UINT64_MAX - totals->count ? OBS_OK : OBS_ERR_CORRUPT;
}

static int lies_in_bucket(double magnitude, int32_t bucket, int scale)
{
    uint64_t bits = obs_f64_bits(magnitude);
    return bits != 0 && bits < OBS_F64_INFINITY_BITS && obs_loghist_index(magnitude, scale) == bucket;
}

/* The greatest value lies in the outermost positive bucket, is zero, or lies in the innermost negative one. */
static int max_is_consistent(const encoded_t *encoded)
{
    double max = encoded->totals.max;
    if (encoded->positive.total != 0)
        return lies_in_bucket(max, encoded->positive.highest, encoded->totals.scale);
    if (encoded->totals.zero_count != 0)
        return obs_f64_bits(max) == 0;
    return lies_in_bucket(-max, encoded->negative.lowest, encoded->totals.scale);
}

static int min_is_consistent(const encoded_t *encoded)
{
    double min = encoded->totals.min;
    if (encoded->negative.total != 0)
        return lies_in_bucket(-min, encoded->negative.highest, encoded->totals.scale);
    if (encoded->totals.zero_count != 0)
        return obs_f64_bits(min) == 0;
    return lies_in_bucket(min, encoded->positive.lowest, encoded->totals.scale);
}

/* A sum of values of one sign has that sign; one that overflowed both ways is the one NaN there is. */
static int sum_is_consistent(const encoded_t *encoded)
{
    double sum = encoded->totals.sum;
    int has_positive = encoded->positive.total != 0, has_negative = encoded->negative.total != 0;
    if (isnan(sum))
        return has_positive && has_negative && obs_f64_bits(sum) == OBS_F64_NAN_BITS;
    return (has_negative || !signbit(sum)) && (has_positive || sum <= 0);
}

static int is_consistent(const encoded_t *encoded)
{
    const obs_loghist_t *totals = &encoded->totals;
    uint64_t rest = totals->count;
    if (!take_parts(&rest, totals->zero_count, encoded->positive.total, encoded->negative.total) || rest != 0)
        return 0;
    return totals->count == 0 || (max_is_consistent(encoded) && min_is_consistent(encoded) &&
                                  sum_is_consistent(encoded) && !obs_f64_less(totals->max, totals->min));
}

static int read_checked(const uint8_t *bytes, size_t size, encoded_t *encoded)
{
    if (size < 2)
        return OBS_ERR_CORRUPT;
    if (bytes[0] != OBS_LOGHIST_FORMAT)
        return OBS_ERR_VERSION;
    unsigned head = bytes[1];
    reader_t reader = {bytes + 2, bytes + size};
    memset(encoded, 0, sizeof *encoded);
    if (obs_loghist_init(&encoded->totals, (int)(head & OBS_LOGHIST_HEAD_SCALE)) != OBS_OK)
        return OBS_ERR_CORRUPT;
    int status = read_totals(&reader, head, &encoded->totals);
    if (status == OBS_OK && (head & OBS_LOGHIST_HEAD_POSITIVE))
        status = read_range(&reader, encoded->totals.scale, &encoded->positive);
    if (status == OBS_OK && (head & OBS_LOGHIST_HEAD_NEGATIVE))
        status = read_range(&reader, encoded->totals.scale, &encoded->negative);
    if (status != OBS_OK)
        return status;
    return reader.cursor == reader.end && is_consistent(encoded) ? OBS_OK : OBS_ERR_CORRUPT;
}

int obs_loghist_check(const uint8_t *bytes, size_t size, uint64_t *samples)
{
    encoded_t encoded;
    int status = read_checked(bytes, size, &encoded);
    if (status == OBS_OK && samples != NULL)
        *samples = obs_loghist_samples(&encoded.totals);
    return status;
}

/* The pages of a checked range once more. */
typedef struct {
    reader_t reader;
    uint64_t left;
    page_t page;
} walk_t;

static walk_t walk_pages(const encoded_range_t *range, const uint8_t *end)
{
    return (walk_t){{range->pages, end}, range->page_count, {.page_number = range->first_page - 1}};
}

/* Steps to the next page; the caller takes or skips its excesses. */
static int next_page(walk_t *walk)
{
    if (walk->left == 0)
        return 0;
    walk->left--;
    int status = read_page(&walk->reader, walk->page.page_number + 1, &walk->page);
    assert(status == OBS_OK);
    (void)status;
    return 1;
}

static uint64_t take_excess(walk_t *walk)
{
    uint64_t excess = 0;
    int status = read_varint(&walk->reader, &excess);
    assert(status == OBS_OK);
    (void)status;
    return excess;
}

static void skip_excesses(walk_t *walk)
{
    for (unsigned left = escape_count(&walk->page, walk->reader.end); left != 0; left--)
        take_excess(walk);
}

static int reserve_range(obs_loghist_range_t *into, const encoded_range_t *from, const uint8_t *end, int shift)
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

/* Any width of counters, any shift. */
static void add_page(obs_loghist_range_t *into, walk_t *walk, int shift)
{
    const page_t *page = &walk->page;
    size_t to = obs_range_find(into, obs_floor_shift(page->page_number, shift));
    uint32_t escape = obs_fields_escape(page->width_code);
    unsigned field_index = 0;
    for (uint64_t bits = page->bitmap; bits != 0; bits &= bits - 1) {
        int32_t bucket = page->page_number * OBS_LOGHIST_PAGE_BUCKETS + __builtin_ctzll(bits);
        uint32_t field = obs_fields_get(page->fields, page->width_code, field_index++);
        uint64_t excess = field == escape ? take_excess(walk) : 0;
        obs_range_increase(into, to + obs_page_offset(obs_floor_shift(bucket, shift)), excess + field + 1);
    }
}

/* One byte a field; up to seven bytes behind the last mean nothing. */
static void unpack(const page_t *page, const uint8_t *limit, uint8_t fields[OBS_LOGHIST_PAGE_BUCKETS])
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

/* Without a branch on the bitmap: the cheaper way as soon as most buckets are occupied. */
static void add_dense(uint32_t *counters, uint64_t bitmap, const uint8_t *fields)
{
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i += 8)
        for (unsigned j = 0; j < 8; j++) {
            uint32_t occupied = bitmap & 1;
            counters[i + j] += (*fields & (0u - occupied)) + occupied;
            fields += occupied;
            bitmap >>= 1;
        }
}

static void add_sparse(uint32_t *counters, uint64_t bitmap, const uint8_t *fields)
{
    for (; bitmap != 0; bitmap &= bitmap - 1)
        counters[__builtin_ctzll(bitmap)] += *fields++ + 1u;
}

static void add_excesses(uint32_t *counters, walk_t *walk, const uint8_t *fields)
{
    for (uint64_t bitmap = walk->page.bitmap; bitmap != 0; bitmap &= bitmap - 1)
        if (*fields++ == obs_fields_escape(walk->page.width_code))
            counters[__builtin_ctzll(bitmap)] += (uint32_t)take_excess(walk);
}

/* The common case: narrow counters and the same scale. */
static void add_plain_page(obs_loghist_range_t *into, walk_t *walk)
{
    const page_t *page = &walk->page;
    uint32_t *counters = (uint32_t *)into->pages + obs_range_find(into, page->page_number);
    uint8_t fields[OBS_LOGHIST_PAGE_BUCKETS + 1] = {0}; /* the dense loop looks one further */
    unpack(page, walk->reader.end, fields);
    if (page->field_count > DENSE_FIELD_COUNT)
        add_dense(counters, page->bitmap, fields);
    else
        add_sparse(counters, page->bitmap, fields);
    if (escape_count(page, walk->reader.end) != 0)
        add_excesses(counters, walk, fields);
}

static void add_range(obs_loghist_range_t *into, const encoded_range_t *from, const uint8_t *end, int shift)
{
    walk_t walk = walk_pages(from, end);
    while (next_page(&walk))
        if (shift == 0 && !into->wide)
            add_plain_page(into, &walk);
        else
            add_page(into, &walk, shift);
}

int obs_loghist_merge_encoded(obs_loghist_t *into, const uint8_t *bytes, size_t size)
{
    encoded_t from;
    int status = read_checked(bytes, size, &from);
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
