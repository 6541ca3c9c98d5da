/* Checks the compact form completely, before the first byte of it is believed. */
#include <math.h>
#include <string.h>

#include "loghist_index.h"
#include "loghist_merge.h"
#include "loghist_read.h"

/* Bucket of the least positive double at scale 8. */
#define LEAST_BUCKET (-274945)
static int read_f64(obs_reader_t *reader, double *value)
{
    if (obs_bytes_left(reader) < sizeof *value)
        return OBS_ERR_CORRUPT;
    *value = obs_load_f64(reader->cursor);
    reader->cursor += sizeof *value;
    return OBS_OK;
}

/* Adds the counts of a page, whose excesses come next, to *total. */
static int sum_page(obs_reader_t *reader, const obs_encoded_page_t *page, uint64_t *total)
{
    const uint8_t *fields_end = page->fields + page->fields_size;
    unsigned escaped = 0;
    uint64_t sum = page->base * page->field_count;
    for (const uint8_t *at = page->fields; at < fields_end; at += sizeof(uint64_t)) {
        uint64_t word = obs_load_word(at, fields_end, reader->end);
        sum += obs_fields_sum(word, page->width_code);
        escaped += obs_fields_escaped(word, page->width_code);
    }
    unsigned last_byte_bits = (page->field_count << page->width_code) % 8;
    if (last_byte_bits != 0 && fields_end[-1] >> last_byte_bits != 0)
        return OBS_ERR_CORRUPT;
    for (; escaped != 0; escaped--) {
        uint64_t excess;
        if (obs_read_varint(reader, &excess) != OBS_OK || excess > UINT64_MAX - sum)
            return OBS_ERR_CORRUPT;
        sum += excess;
    }
    if (sum == 0 || sum > UINT64_MAX - *total) /* an empty page, of either form */
        return OBS_ERR_CORRUPT;
    *total += sum;
    return OBS_OK;
}

static int32_t lowest_bucket(const obs_encoded_page_t *page)
{
    unsigned i = 0;
    if (page->bitmap != 0)
        i = (unsigned)__builtin_ctzll(page->bitmap);
    else
        while (obs_fields_get(page->fields, page->width_code, i) == 0)
            i++;
    return page->page_number * OBS_LOGHIST_PAGE_BUCKETS + (int32_t)i;
}

static int32_t highest_bucket(const obs_encoded_page_t *page)
{
    unsigned i = OBS_LOGHIST_PAGE_BUCKETS - 1;
    if (page->bitmap != 0)
        i -= (unsigned)__builtin_clzll(page->bitmap);
    else
        while (obs_fields_get(page->fields, page->width_code, i) == 0)
            i--;
    return page->page_number * OBS_LOGHIST_PAGE_BUCKETS + (int32_t)i;
}

static int read_range(obs_reader_t *reader, int scale, obs_encoded_range_t *range)
{
    uint64_t first_page;
    if (obs_read_varint(reader, &first_page) != OBS_OK || obs_read_varint(reader, &range->page_count) != OBS_OK)
        return OBS_ERR_CORRUPT;
    int64_t first = obs_zigzag_decode(first_page);
    if (range->page_count == 0 || first < OBS_LEAST_PAGE || first > OBS_GREATEST_PAGE)
        return OBS_ERR_CORRUPT;
    range->first_page = (int32_t)first;
    range->pages = reader->cursor;
    obs_encoded_page_t page = {.page_number = (int32_t)first - 1};
    for (uint64_t i = 0; i < range->page_count; i++) {
        if (obs_read_page(reader, page.page_number + 1, &page) != OBS_OK ||
            sum_page(reader, &page, &range->total) != OBS_OK)
            return OBS_ERR_CORRUPT;
        if (i == 0)
            range->lowest = lowest_bucket(&page);
        if (i == 0 && page.page_number != range->first_page)
            return OBS_ERR_CORRUPT;
    }
    range->last_page = page.page_number;
    range->highest = highest_bucket(&page);
    /* That the highest one exists will follow from the minimum or maximum, which must lie in it. */
    int32_t least = obs_floor_shift(LEAST_BUCKET, OBS_LOGHIST_MAX_SCALE - scale);
    return range->lowest >= least ? OBS_OK : OBS_ERR_CORRUPT;
}

/* Subtracts each part from whole; returns 0 if they are more than that. */
static int take_parts(uint64_t *whole, uint64_t a, uint64_t b, uint64_t c)
{
    if (a > *whole || b > *whole - a || c > *whole - a - b)
        return 0;
    *whole -= a + b + c;
    return 1;
}

static int read_totals(obs_reader_t *reader, unsigned head, obs_loghist_t *totals)
{
    if (obs_read_varint(reader, &totals->count) != OBS_OK)
        return OBS_ERR_CORRUPT;
    if (totals->count != 0 && (read_f64(reader, &totals->sum) != OBS_OK || read_f64(reader, &totals->min) != OBS_OK ||
                               read_f64(reader, &totals->max) != OBS_OK))
        return OBS_ERR_CORRUPT;
    if ((head & OBS_LOGHIST_HEAD_ZERO) &&
        (obs_read_varint(reader, &totals->zero_count) != OBS_OK || totals->zero_count == 0))
        return OBS_ERR_CORRUPT;
    if ((head & OBS_LOGHIST_HEAD_NONFINITE) == 0)
        return OBS_OK;
    if (obs_read_varint(reader, &totals->nan_count) != OBS_OK ||
        obs_read_varint(reader, &totals->positive_infinity_count) != OBS_OK ||
        obs_read_varint(reader, &totals->negative_infinity_count) != OBS_OK)
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
static int max_is_consistent(const obs_encoded_t *encoded)
{
    double max = encoded->totals.max;
    if (encoded->positive.total != 0)
        return lies_in_bucket(max, encoded->positive.highest, encoded->totals.scale);
    if (encoded->totals.zero_count != 0)
        return obs_f64_bits(max) == 0;
    return lies_in_bucket(-max, encoded->negative.lowest, encoded->totals.scale);
}

static int min_is_consistent(const obs_encoded_t *encoded)
{
    double min = encoded->totals.min;
    if (encoded->negative.total != 0)
        return lies_in_bucket(-min, encoded->negative.highest, encoded->totals.scale);
    if (encoded->totals.zero_count != 0)
        return obs_f64_bits(min) == 0;
    return lies_in_bucket(min, encoded->positive.lowest, encoded->totals.scale);
}

/* A sum of values of one sign has that sign; one that overflowed both ways is the one NaN there is. */
static int sum_is_consistent(const obs_encoded_t *encoded)
{
    double sum = encoded->totals.sum;
    int has_positive = encoded->positive.total != 0, has_negative = encoded->negative.total != 0;
    if (isnan(sum))
        return has_positive && has_negative && obs_f64_bits(sum) == OBS_F64_NAN_BITS;
    return (has_negative || !signbit(sum)) && (has_positive || sum <= 0);
}

static int is_consistent(const obs_encoded_t *encoded)
{
    const obs_loghist_t *totals = &encoded->totals;
    uint64_t rest = totals->count;
    if (!take_parts(&rest, totals->zero_count, encoded->positive.total, encoded->negative.total) || rest != 0)
        return 0;
    return totals->count == 0 || (max_is_consistent(encoded) && min_is_consistent(encoded) &&
                                  sum_is_consistent(encoded) && !obs_f64_less(totals->max, totals->min));
}

int obs_loghist_read_checked(const uint8_t *bytes, size_t size, obs_encoded_t *encoded)
{
    if (size < 2)
        return OBS_ERR_CORRUPT;
    if (bytes[0] != OBS_LOGHIST_FORMAT)
        return OBS_ERR_VERSION;
    unsigned head = bytes[1];
    obs_reader_t reader = {bytes + 2, bytes + size};
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
    obs_encoded_t encoded;
    int status = obs_loghist_read_checked(bytes, size, &encoded);
    if (status == OBS_OK && samples != NULL)
        *samples = obs_loghist_samples(&encoded.totals);
    return status;
}
