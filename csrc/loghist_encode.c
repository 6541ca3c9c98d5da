/* Writes the compact form; loghist_codec.h has its grammar. */
#include <math.h>
#include <string.h>

#include "loghist_codec.h"
#include "loghist_index.h"
#include "loghist_merge.h"
#include "obs_port.h"
#include "varint.h"

/* Where the next byte goes. A writer that has run out of room stays that way and ignores what follows. */
typedef struct {
    uint8_t *out;
    size_t size;
    size_t capacity;
    int status;
} writer_t;

static uint8_t *take(writer_t *writer, size_t size)
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
    uint8_t *at = take(writer, 1);
    if (at != NULL)
        *at = (uint8_t)value;
}

static void write_varint(writer_t *writer, uint64_t value)
{
    uint8_t *at = take(writer, obs_varint_size(value));
    if (at != NULL)
        obs_varint_put(at, value);
}

static void write_f64(writer_t *writer, double value)
{
    uint8_t *at = take(writer, sizeof value);
    if (at != NULL)
        obs_store_f64(at, value);
}

/* The occupied buckets of one page, in order. */
typedef struct {
    uint64_t bitmap;
    unsigned count;
    uint8_t fields[OBS_LOGHIST_PAGE_BUCKETS + 1]; /* count - 1, at most 255; zeros behind the last */
} gathered_t;

static void reduce_narrow(const uint32_t *restrict counters, uint8_t *restrict occupied, uint8_t *restrict reduced)
{
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++) {
        occupied[i] = counters[i] != 0;
        reduced[i] = (uint8_t)(counters[i] > 255 ? 255 : counters[i] - 1);
    }
}

static void reduce_wide(const uint64_t *restrict counters, uint8_t *restrict occupied, uint8_t *restrict reduced)
{
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++) {
        occupied[i] = counters[i] != 0;
        reduced[i] = (uint8_t)(counters[i] > 255 ? 255 : counters[i] - 1);
    }
}

/* Eight bytes that are 0 or 1 as eight bits: the product moves byte i's bit to bit 56 + i, and no two meet. */
static unsigned bits_of_bytes(uint64_t bytes)
{
    return (unsigned)((bytes * UINT64_C(0x0102040810204080)) >> 56);
}

static void gather_page(const obs_loghist_range_t *range, size_t page, gathered_t *gathered)
{
    uint8_t occupied[OBS_LOGHIST_PAGE_BUCKETS], reduced[OBS_LOGHIST_PAGE_BUCKETS];
    if (range->wide)
        reduce_wide((const uint64_t *)range->pages + page, occupied, reduced);
    else
        reduce_narrow((const uint32_t *)range->pages + page, occupied, reduced);
    *gathered = (gathered_t){0};
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i += 8) {
        unsigned bits = bits_of_bytes(obs_load_u64(occupied + i));
        gathered->bitmap |= (uint64_t)bits << i;
        for (unsigned j = i; bits != 0 && j < i + 8; j++) { /* an empty bucket's field gives way to the next one's */
            gathered->fields[gathered->count] = (uint8_t)(reduced[j] & -occupied[j]);
            gathered->count += occupied[j];
        }
    }
}

static unsigned count_escapes(const gathered_t *gathered, unsigned width_code)
{
    uint8_t escape = (uint8_t)obs_fields_escape(width_code), escapes = 0; /* bytes throughout: 16 a vector */
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        escapes = (uint8_t)(escapes + (gathered->fields[i] >= escape));
    return escapes;
}

/* The width with the fewest bytes, an excess counted as one. */
static unsigned choose_width(const gathered_t *gathered)
{
    unsigned best = 0;
    size_t best_size = SIZE_MAX;
    for (unsigned code = 0; code < OBS_LOGHIST_WIDTH_CODES; code++) {
        size_t size = obs_fields_size(code, gathered->count) + count_escapes(gathered, code);
        if (size < best_size) {
            best = code;
            best_size = size;
        }
    }
    return best;
}

static void write_fields(writer_t *writer, const gathered_t *gathered, unsigned width_code)
{
    uint8_t escape = (uint8_t)obs_fields_escape(width_code);
    uint8_t fields[OBS_LOGHIST_PAGE_BUCKETS], packed[OBS_LOGHIST_PAGE_BUCKETS + sizeof(uint64_t)];
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        fields[i] = gathered->fields[i] < escape ? gathered->fields[i] : escape;
    for (unsigned i = 0; i < gathered->count; i += 8) /* whole words are written, each over the last one's zeros */
        obs_store_u64(packed + (i >> 3 << width_code), obs_fields_squeeze(obs_load_u64(fields + i), width_code));
    size_t size = obs_fields_size(width_code, gathered->count);
    uint8_t *out = take(writer, size);
    if (out != NULL)
        memcpy(out, packed, size);
}

static void write_excesses(writer_t *writer, const obs_loghist_range_t *range, size_t page, const gathered_t *gathered,
                           uint64_t escape)
{
    const uint8_t *field = gathered->fields;
    for (uint64_t bitmap = gathered->bitmap; bitmap != 0; bitmap &= bitmap - 1)
        if (*field++ >= escape)
            write_varint(writer, obs_range_counter(range, page + (size_t)__builtin_ctzll(bitmap)) - 1 - escape);
}

static void write_page(writer_t *writer, const obs_loghist_range_t *range, size_t page, uint64_t gap)
{
    gathered_t gathered;
    gather_page(range, page, &gathered);
    unsigned width_code = choose_width(&gathered);
    write_varint(writer, gap << 2 | width_code);
    uint8_t *bitmap = take(writer, sizeof gathered.bitmap);
    if (bitmap != NULL)
        obs_store_u64(bitmap, gathered.bitmap);
    write_fields(writer, &gathered, width_code);
    if (count_escapes(&gathered, width_code) != 0)
        write_excesses(writer, range, page, &gathered, obs_fields_escape(width_code));
}

/* The next page at or after *page_number that counts something, and its first counter; 0 at the end. */
static int next_page(const obs_loghist_range_t *range, int32_t *page_number, size_t *page)
{
    for (; *page_number - range->first_page < (int32_t)range->directory_size; ++*page_number) {
        *page = obs_range_find(range, *page_number);
        if (*page != SIZE_MAX && !obs_range_page_is_empty(range, *page))
            return 1;
    }
    return 0;
}

static uint64_t occupied_page_count(const obs_loghist_range_t *range)
{
    uint64_t count = 0;
    size_t page;
    for (int32_t page_number = range->first_page; next_page(range, &page_number, &page); page_number++)
        count++;
    return count;
}

static void write_range(writer_t *writer, const obs_loghist_range_t *range, uint64_t page_count)
{
    int32_t page_number = range->first_page, expected = page_number;
    uint64_t written = 0;
    size_t page;
    for (; written < page_count && next_page(range, &page_number, &page); page_number++) {
        if (written++ == 0) {
            write_varint(writer, obs_zigzag_encode(page_number));
            write_varint(writer, page_count);
            expected = page_number;
        }
        write_page(writer, range, page, (uint64_t)(page_number - expected));
        expected = page_number + 1;
    }
}

static void write_totals(writer_t *writer, const obs_loghist_t *hist, unsigned head)
{
    write_u8(writer, OBS_LOGHIST_FORMAT);
    write_u8(writer, head);
    write_varint(writer, hist->count);
    if (hist->count != 0) {
        write_f64(writer, isnan(hist->sum) ? obs_f64_of_bits(OBS_F64_NAN_BITS) : hist->sum);
        write_f64(writer, hist->min);
        write_f64(writer, hist->max);
    }
    if (head & OBS_LOGHIST_HEAD_ZERO)
        write_varint(writer, hist->zero_count);
    if (head & OBS_LOGHIST_HEAD_NONFINITE) {
        write_varint(writer, hist->nan_count);
        write_varint(writer, hist->positive_infinity_count);
        write_varint(writer, hist->negative_infinity_count);
    }
}

int obs_loghist_encode(const obs_loghist_t *hist, uint8_t *out, size_t capacity, size_t *size)
{
    writer_t writer = {.out = out, .capacity = capacity};
    uint64_t positive_pages = occupied_page_count(&hist->positive);
    uint64_t negative_pages = occupied_page_count(&hist->negative);
    unsigned head = (unsigned)hist->scale;
    head |= hist->zero_count != 0 ? OBS_LOGHIST_HEAD_ZERO : 0;
    head |= obs_loghist_samples(hist) != hist->count ? OBS_LOGHIST_HEAD_NONFINITE : 0;
    head |= positive_pages != 0 ? OBS_LOGHIST_HEAD_POSITIVE : 0;
    head |= negative_pages != 0 ? OBS_LOGHIST_HEAD_NEGATIVE : 0;
    write_totals(&writer, hist, head);
    write_range(&writer, &hist->positive, positive_pages);
    write_range(&writer, &hist->negative, negative_pages);
    if (writer.status == OBS_OK)
        *size = writer.size;
    return writer.status;
}

size_t obs_loghist_encoded_bound(const obs_loghist_t *hist)
{
    /* format, head; count, zero and three non-finite counts; sum, min, max; per range first page and page count. */
    size_t totals = 2 + 5 * OBS_VARINT_MAX_SIZE + 3 * sizeof(double) + 4 * OBS_VARINT_MAX_SIZE;
    size_t page_count = (size_t)hist->positive.page_count + hist->negative.page_count;
    size_t page = 5 + sizeof(uint64_t) + OBS_LOGHIST_PAGE_BUCKETS;
    /* A page's fields and excesses of one byte together are no longer than one byte a bucket and an excess for
     * each count above 255: that width was there to choose. Longer excesses need a count above 128. */
    uint64_t excesses = hist->count / 128;
    if (excesses > page_count * OBS_LOGHIST_PAGE_BUCKETS)
        excesses = page_count * OBS_LOGHIST_PAGE_BUCKETS;
    return totals + page_count * page + (size_t)excesses * obs_varint_size(hist->count);
}
