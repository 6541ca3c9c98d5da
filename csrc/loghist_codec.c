/* Encoding
 *
 *   loghist  := u8 format = 1, u8 head, varint count,
 *               [count > 0:    f64 sum, f64 min, f64 max]
 *               [ZERO:         varint zero_count]
 *               [NONFINITE:    varint nan_count, varint positive_infinity_count, varint negative_infinity_count]
 *               [POSITIVE:     range]
 *               [NEGATIVE:     range]
 *   head     := scale in bits 0..3; ZERO, NONFINITE, POSITIVE, NEGATIVE in bits 4..7
 *   range    := varint zigzag(number of the first page), varint page_count, page * page_count
 *   page     := varint (gap * 4 + width code), u64 bitmap, packed counts, varint excess for each escaped count
 *
 * Numbers are little-endian. A page stands for 64 neighbouring buckets, and its gap for the empty pages
 * since the one before (0 for the first page). Bit i of the bitmap says that bucket 64 * page + i is
 * occupied. Each occupied bucket has one field of 1 << code bits (1, 2, 4 or 8), lowest bits first, the last
 * byte filled up with zeros. A field holds count - 1, except that all ones is an escape: the count is then
 * that field's value + 1 + excess. Small windows cost two to four bits a bucket that way, and there is no
 * byte string for a count of zero.
 *
 * Everything that could be said in two ways is refused: a flag without its counts, an empty page, fill that
 * is not zero, -0.0, a minimum or maximum outside the outermost buckets. What check accepts, decoding and
 * encoding again gives back count for count and bit for bit (the width codes aside: those are the encoder's
 * choice).
 */
#include <math.h>

#include "loghist.h"
#include "loghist_index.h"
#include "loghist_merge.h"
#include "loghist_range.h"
#include "obs_port.h"
#include "varint.h"

enum {
    FORMAT = 1,
    SCALE_MASK = 0x0f,
    HAS_ZERO = 0x10,
    HAS_NONFINITE = 0x20,
    HAS_POSITIVE = 0x40,
    HAS_NEGATIVE = 0x80,
    WIDTH_CODES = 4,
};

/* Buckets of the least and the greatest positive double at scale 8. */
#define LEAST_BUCKET (-274945)
#define GREATEST_BUCKET 262143

/* One page as it lies in the encoded bytes. */
typedef struct {
    int32_t page_number;
    unsigned width_code;
    uint64_t bitmap;
    const uint8_t *fields;
    const uint8_t *excess; /* behind the fields */
} page_t;

static uint32_t field_mask(unsigned width_code)
{
    return (1u << (1u << width_code)) - 1;
}

static size_t fields_size(unsigned width_code, unsigned field_count)
{
    return (((size_t)field_count << width_code) + 7) / 8;
}

static uint32_t field_at(const page_t *page, unsigned field_index)
{
    unsigned bit = field_index << page->width_code;
    return (uint32_t)(page->fields[bit / 8] >> (bit % 8)) & field_mask(page->width_code);
}

/* ---- writing ---- */

typedef struct {
    uint8_t *out;
    size_t size;
    size_t capacity;
    int status;
} writer_t;

static uint8_t *writer_take(writer_t *writer, size_t size)
{
    if (writer->status != OBS_OK || writer->capacity - writer->size < size) {
        writer->status = OBS_ERR_FULL;
        return NULL;
    }
    uint8_t *at = writer->out + writer->size;
    writer->size += size;
    return at;
}

static void write_u8(writer_t *writer, unsigned value)
{
    uint8_t *at = writer_take(writer, 1);
    if (at != NULL)
        *at = (uint8_t)value;
}

static void write_varint(writer_t *writer, uint64_t value)
{
    uint8_t bytes[OBS_VARINT_MAX_SIZE];
    size_t size = obs_varint_put(bytes, value);
    uint8_t *at = writer_take(writer, size);
    if (at != NULL)
        memcpy(at, bytes, size);
}

static void write_f64(writer_t *writer, double value)
{
    uint8_t *at = writer_take(writer, sizeof value);
    if (at != NULL)
        obs_store_f64(at, value);
}

/* The occupied buckets of one page: what each field would hold without a limit. */
typedef struct {
    uint64_t bitmap;
    unsigned count;
    uint64_t reduced[OBS_LOGHIST_PAGE_BUCKETS]; /* count - 1 */
} gathered_t;

static void gather_page(const obs_loghist_range_t *range, size_t page, gathered_t *gathered)
{
    gathered->bitmap = 0;
    gathered->count = 0;
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++) {
        uint64_t count = obs_range_counter(range, page + i);
        gathered->reduced[gathered->count] = count - 1;
        gathered->count += count != 0;
        gathered->bitmap |= (uint64_t)(count != 0) << i;
    }
}

static size_t packed_size(const gathered_t *gathered, unsigned width_code)
{
    size_t size = fields_size(width_code, gathered->count);
    for (unsigned i = 0; i < gathered->count; i++)
        if (gathered->reduced[i] >= field_mask(width_code))
            size += obs_varint_size(gathered->reduced[i] - field_mask(width_code));
    return size;
}

static unsigned cheapest_width(const gathered_t *gathered)
{
    unsigned best = 0;
    size_t best_size = packed_size(gathered, 0);
    for (unsigned code = 1; code < WIDTH_CODES; code++) {
        size_t size = packed_size(gathered, code);
        if (size < best_size) {
            best = code;
            best_size = size;
        }
    }
    return best;
}

static void write_page(writer_t *writer, const gathered_t *gathered, uint64_t gap)
{
    unsigned width_code = cheapest_width(gathered);
    uint32_t mask = field_mask(width_code);
    write_varint(writer, gap << 2 | width_code);
    uint8_t *bitmap = writer_take(writer, sizeof(uint64_t));
    size_t size = fields_size(width_code, gathered->count);
    uint8_t *fields = writer_take(writer, size);
    if (writer->status != OBS_OK)
        return;
    obs_store_u64(bitmap, gathered->bitmap);
    memset(fields, 0, size);
    for (unsigned i = 0; i < gathered->count; i++) {
        uint64_t reduced = gathered->reduced[i];
        unsigned bit = i << width_code;
        fields[bit / 8] |= (uint8_t)((reduced < mask ? reduced : mask) << (bit % 8));
        if (reduced >= mask)
            write_varint(writer, reduced - mask);
    }
}

/* Numbers of the occupied pages of a range: first and how many. */
static uint64_t occupied_pages(const obs_loghist_range_t *range, int32_t *first_page)
{
    uint64_t page_count = 0, count;
    for (int32_t index = INT32_MIN; obs_loghist_next(range, &index, &count); index++) {
        if (page_count++ == 0)
            *first_page = obs_page_number(index);
        index |= OBS_LOGHIST_PAGE_MASK;
    }
    return page_count;
}

static void write_range(writer_t *writer, const obs_loghist_range_t *range, int32_t first_page, uint64_t page_count)
{
    if (page_count == 0)
        return;
    write_varint(writer, obs_zigzag_encode(first_page));
    write_varint(writer, page_count);
    int32_t expected = first_page;
    uint64_t count;
    for (int32_t index = INT32_MIN; obs_loghist_next(range, &index, &count); index++) {
        int32_t page_number = obs_page_number(index);
        gathered_t gathered;
        gather_page(range, obs_range_find(range, page_number), &gathered);
        write_page(writer, &gathered, (uint64_t)(page_number - expected));
        expected = page_number + 1;
        index |= OBS_LOGHIST_PAGE_MASK;
    }
}

static uint64_t nonfinite_count(const obs_loghist_t *hist)
{
    return hist->nan_count + hist->positive_infinity_count + hist->negative_infinity_count;
}

int obs_loghist_encode(const obs_loghist_t *hist, uint8_t *out, size_t capacity, size_t *size)
{
    writer_t writer = {.out = out, .capacity = capacity};
    int32_t first_positive = 0, first_negative = 0;
    uint64_t positive_pages = occupied_pages(&hist->positive, &first_positive);
    uint64_t negative_pages = occupied_pages(&hist->negative, &first_negative);
    unsigned flags = (hist->zero_count != 0 ? HAS_ZERO : 0u) | (nonfinite_count(hist) != 0 ? HAS_NONFINITE : 0u) |
                     (positive_pages != 0 ? HAS_POSITIVE : 0u) | (negative_pages != 0 ? HAS_NEGATIVE : 0u);
    write_u8(&writer, FORMAT);
    write_u8(&writer, (unsigned)hist->scale | flags);
    write_varint(&writer, hist->count);
    if (hist->count != 0) {
        write_f64(&writer, isnan(hist->sum) ? obs_f64_of_bits(OBS_F64_NAN_BITS) : hist->sum);
        write_f64(&writer, hist->min);
        write_f64(&writer, hist->max);
    }
    if (flags & HAS_ZERO)
        write_varint(&writer, hist->zero_count);
    if (flags & HAS_NONFINITE) {
        write_varint(&writer, hist->nan_count);
        write_varint(&writer, hist->positive_infinity_count);
        write_varint(&writer, hist->negative_infinity_count);
    }
    write_range(&writer, &hist->positive, first_positive, positive_pages);
    write_range(&writer, &hist->negative, first_negative, negative_pages);
    if (writer.status == OBS_OK)
        *size = writer.size;
    return writer.status;
}

size_t obs_loghist_encoded_bound(const obs_loghist_t *hist)
{
    size_t head = 2 + 5 * OBS_VARINT_MAX_SIZE + 3 * sizeof(double) + 4 * OBS_VARINT_MAX_SIZE;
    size_t page_count = (size_t)hist->positive.page_count + hist->negative.page_count;
    size_t page = 5 + sizeof(uint64_t) + OBS_LOGHIST_PAGE_BUCKETS;
    /* The chosen width costs no more than one byte a field and an excess for each count of 256 and above. */
    uint64_t escapes = hist->count / 256;
    if (escapes > page_count * OBS_LOGHIST_PAGE_BUCKETS)
        escapes = page_count * OBS_LOGHIST_PAGE_BUCKETS;
    return head + page_count * page + (size_t)escapes * obs_varint_size(hist->count);
}

/* ---- reading ---- */

/* Reads one page and steps over it; previous_page is the number of the page before. Checks the form, not
 * whether the buckets exist. */
static int read_page(const uint8_t **cursor, const uint8_t *end, int64_t previous_page, page_t *page)
{
    uint64_t gap_and_code;
    int status = obs_varint_get(cursor, end, &gap_and_code);
    if (status != OBS_OK)
        return status;
    uint64_t gap = gap_and_code >> 2;
    if (gap > INT16_MAX || (size_t)(end - *cursor) < sizeof(uint64_t))
        return OBS_ERR_CORRUPT;
    page->page_number = (int32_t)(previous_page + 1 + (int64_t)gap);
    page->width_code = gap_and_code & 3;
    page->bitmap = obs_load_u64(*cursor);
    page->fields = *cursor + sizeof(uint64_t);
    unsigned field_count = (unsigned)__builtin_popcountll(page->bitmap);
    size_t size = fields_size(page->width_code, field_count);
    if (page->bitmap == 0 || (size_t)(end - page->fields) < size)
        return OBS_ERR_CORRUPT;
    page->excess = page->fields + size;
    unsigned used_bits = (field_count << page->width_code) % 8;
    if (used_bits != 0 && page->excess[-1] >> used_bits != 0)
        return OBS_ERR_CORRUPT;
    *cursor = page->excess;
    return OBS_OK;
}

/* Sums the counts of a page, and moves the cursor, which stands at the excesses, behind them. */
static int sum_page(const page_t *page, const uint8_t **cursor, const uint8_t *end, uint64_t *total)
{
    unsigned field_count = (unsigned)__builtin_popcountll(page->bitmap);
    uint32_t escape = field_mask(page->width_code);
    for (unsigned i = 0; i < field_count; i++) {
        uint32_t field = field_at(page, i);
        uint64_t excess = 0;
        if (field == escape && obs_varint_get(cursor, end, &excess) != OBS_OK)
            return OBS_ERR_CORRUPT;
        if (excess > UINT64_MAX - escape - 1 || excess + field + 1 > UINT64_MAX - *total)
            return OBS_ERR_CORRUPT;
        *total += excess + field + 1;
    }
    return OBS_OK;
}

static int32_t lowest_bucket(const page_t *page)
{
    return page->page_number * OBS_LOGHIST_PAGE_BUCKETS + __builtin_ctzll(page->bitmap);
}

static int32_t highest_bucket(const page_t *page)
{
    return page->page_number * OBS_LOGHIST_PAGE_BUCKETS + 63 - __builtin_clzll(page->bitmap);
}

typedef struct {
    const uint8_t *begin; /* the first page */
    uint64_t page_count;
    int64_t first_page;
    int32_t lowest; /* buckets */
    int32_t highest;
    uint64_t total;
} encoded_range_t;

static int check_range(const uint8_t **cursor, const uint8_t *end, int scale, encoded_range_t *range)
{
    uint64_t first_page;
    if (obs_varint_get(cursor, end, &first_page) != OBS_OK || obs_varint_get(cursor, end, &range->page_count) != OBS_OK)
        return OBS_ERR_CORRUPT;
    range->first_page = obs_zigzag_decode(first_page);
    if (range->page_count == 0 || range->first_page < INT16_MIN || range->first_page > INT16_MAX)
        return OBS_ERR_CORRUPT;
    range->begin = *cursor;
    int64_t previous_page = range->first_page - 1;
    for (uint64_t i = 0; i < range->page_count; i++) {
        page_t page;
        if (read_page(cursor, end, previous_page, &page) != OBS_OK ||
            sum_page(&page, cursor, end, &range->total) != OBS_OK)
            return OBS_ERR_CORRUPT;
        if (i == 0 && page.page_number != range->first_page)
            return OBS_ERR_CORRUPT;
        if (i == 0)
            range->lowest = lowest_bucket(&page);
        range->highest = highest_bucket(&page);
        if (page.page_number > INT16_MAX)
            return OBS_ERR_CORRUPT;
        previous_page = page.page_number;
    }
    if (range->lowest < obs_floor_shift(LEAST_BUCKET, OBS_LOGHIST_MAX_SCALE - scale) ||
        range->highest > obs_floor_shift(GREATEST_BUCKET, OBS_LOGHIST_MAX_SCALE - scale))
        return OBS_ERR_CORRUPT;
    return OBS_OK;
}

/* A histogram as it lies in the bytes: its totals (with empty ranges) and where its pages are. */
typedef struct {
    obs_loghist_t totals;
    encoded_range_t positive;
    encoded_range_t negative;
} encoded_t;

static int read_f64(const uint8_t **cursor, const uint8_t *end, double *value)
{
    if ((size_t)(end - *cursor) < sizeof *value)
        return OBS_ERR_CORRUPT;
    *value = obs_load_f64(*cursor);
    *cursor += sizeof *value;
    return OBS_OK;
}

static int read_totals(const uint8_t **cursor, const uint8_t *end, unsigned head, obs_loghist_t *totals)
{
    if (obs_varint_get(cursor, end, &totals->count) != OBS_OK)
        return OBS_ERR_CORRUPT;
    if (totals->count != 0 &&
        (read_f64(cursor, end, &totals->sum) != OBS_OK || read_f64(cursor, end, &totals->min) != OBS_OK ||
         read_f64(cursor, end, &totals->max) != OBS_OK))
        return OBS_ERR_CORRUPT;
    if ((head & HAS_ZERO) && (obs_varint_get(cursor, end, &totals->zero_count) != OBS_OK || totals->zero_count == 0))
        return OBS_ERR_CORRUPT;
    if ((head & HAS_NONFINITE) && (obs_varint_get(cursor, end, &totals->nan_count) != OBS_OK ||
                                   obs_varint_get(cursor, end, &totals->positive_infinity_count) != OBS_OK ||
                                   obs_varint_get(cursor, end, &totals->negative_infinity_count) != OBS_OK))
        return OBS_ERR_CORRUPT;
    uint64_t room = UINT64_MAX - totals->count;
    const uint64_t parts[] = {totals->nan_count, totals->positive_infinity_count, totals->negative_infinity_count};
    for (size_t i = 0; i < 3; i++) {
        if (parts[i] > room)
            return OBS_ERR_CORRUPT;
        room -= parts[i];
    }
    return (head & HAS_NONFINITE) && room == UINT64_MAX - totals->count ? OBS_ERR_CORRUPT : OBS_OK;
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

static int totals_are_consistent(const encoded_t *encoded)
{
    const obs_loghist_t *totals = &encoded->totals;
    uint64_t rest = totals->count;
    const uint64_t parts[] = {totals->zero_count, encoded->positive.total, encoded->negative.total};
    for (size_t i = 0; i < 3; i++) {
        if (parts[i] > rest)
            return 0;
        rest -= parts[i];
    }
    if (rest != 0)
        return 0;
    return totals->count == 0 || (max_is_consistent(encoded) && min_is_consistent(encoded) &&
                                  sum_is_consistent(encoded) && !obs_f64_less(totals->max, totals->min));
}

static int check_encoded(const uint8_t *bytes, size_t size, encoded_t *encoded)
{
    const uint8_t *cursor = bytes, *end = bytes + size;
    if (size < 2)
        return OBS_ERR_CORRUPT;
    if (bytes[0] != FORMAT)
        return OBS_ERR_VERSION;
    unsigned head = bytes[1];
    memset(encoded, 0, sizeof *encoded);
    if (obs_loghist_init(&encoded->totals, (int)(head & SCALE_MASK)) != OBS_OK)
        return OBS_ERR_CORRUPT;
    cursor += 2;
    int status = read_totals(&cursor, end, head, &encoded->totals);
    if (status == OBS_OK && (head & HAS_POSITIVE))
        status = check_range(&cursor, end, encoded->totals.scale, &encoded->positive);
    if (status == OBS_OK && (head & HAS_NEGATIVE))
        status = check_range(&cursor, end, encoded->totals.scale, &encoded->negative);
    if (status != OBS_OK)
        return status;
    return cursor == end && totals_are_consistent(encoded) ? OBS_OK : OBS_ERR_CORRUPT;
}

int obs_loghist_check(const uint8_t *bytes, size_t size, uint64_t *samples)
{
    encoded_t encoded;
    int status = check_encoded(bytes, size, &encoded);
    if (status == OBS_OK && samples != NULL)
        *samples = obs_loghist_samples(&encoded.totals);
    return status;
}

/* Calls for each page of checked bytes: reserve, then add. Positions past the excesses of each page. */
static void next_checked_page(const uint8_t **cursor, int64_t *previous_page, page_t *page)
{
    int status = read_page(cursor, *cursor + SIZE_MAX / 4, *previous_page, page);
    (void)status;
    *previous_page = page->page_number;
}

static void skip_excess(const page_t *page, const uint8_t **cursor)
{
    unsigned field_count = (unsigned)__builtin_popcountll(page->bitmap);
    for (unsigned i = 0; i < field_count; i++)
        if (field_at(page, i) == field_mask(page->width_code))
            while (*(*cursor)++ & 0x80)
                continue;
}

static int reserve_encoded(obs_loghist_range_t *into, const encoded_range_t *from, int shift)
{
    const uint8_t *cursor = from->begin;
    int64_t previous_page = from->first_page - 1;
    for (uint64_t i = 0; i < from->page_count; i++) {
        page_t page;
        next_checked_page(&cursor, &previous_page, &page);
        skip_excess(&page, &cursor);
        int status = obs_range_reserve_page(into, obs_floor_shift(page.page_number, shift));
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}

static void add_encoded(obs_loghist_range_t *into, const encoded_range_t *from, int shift)
{
    const uint8_t *cursor = from->begin;
    int64_t previous_page = from->first_page - 1;
    for (uint64_t i = 0; i < from->page_count; i++) {
        page_t page;
        next_checked_page(&cursor, &previous_page, &page);
        size_t to = obs_range_find(into, obs_floor_shift(page.page_number, shift));
        uint32_t escape = field_mask(page.width_code);
        unsigned field_index = 0;
        for (uint64_t bits = page.bitmap; bits != 0; bits &= bits - 1) {
            int32_t bucket = page.page_number * OBS_LOGHIST_PAGE_BUCKETS + __builtin_ctzll(bits);
            uint32_t field = field_at(&page, field_index++);
            uint64_t excess = 0;
            if (field == escape) {
                int status = obs_varint_get(&cursor, cursor + OBS_VARINT_MAX_SIZE, &excess);
                (void)status;
            }
            obs_range_increase(into, to + obs_page_offset(obs_floor_shift(bucket, shift)), excess + field + 1);
        }
    }
}

int obs_loghist_merge_encoded(obs_loghist_t *into, const uint8_t *bytes, size_t size)
{
    encoded_t from;
    int status = check_encoded(bytes, size, &from);
    if (status != OBS_OK)
        return status;
    obs_loghist_t lowered, *target;
    status = obs_loghist_merge_begin(into, from.totals.scale, &lowered, &target);
    if (status != OBS_OK)
        return status;
    int shift = from.totals.scale - target->scale;
    status = obs_loghist_merge_reserve(target, &from.totals);
    if (status == OBS_OK)
        status = reserve_encoded(&target->positive, &from.positive, shift);
    if (status == OBS_OK)
        status = reserve_encoded(&target->negative, &from.negative, shift);
    if (status == OBS_OK) {
        add_encoded(&target->positive, &from.positive, shift);
        add_encoded(&target->negative, &from.negative, shift);
        obs_loghist_merge_totals(target, &from.totals);
    }
    return obs_loghist_merge_finish(into, target, status);
}
