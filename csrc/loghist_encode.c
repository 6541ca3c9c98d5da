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

/* One page in both forms, before the choice: what each field would hold if it were eight bits wide. */
typedef struct {
    uint64_t bitmap;
    unsigned occupied_count;
    uint8_t dense[OBS_LOGHIST_PAGE_BUCKETS];
    uint8_t sparse[OBS_LOGHIST_PAGE_BUCKETS]; /* zeros behind the last */
} gathered_t;

static void saturate_narrow(const uint32_t *restrict counters, uint8_t *restrict counts, uint8_t *restrict reduced)
{
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++) {
        counts[i] = (uint8_t)(counters[i] > 255 ? 255 : counters[i]);
        reduced[i] = (uint8_t)(counters[i] > 255 ? 255 : counters[i] - 1);
    }
}

static void saturate_wide(const uint64_t *restrict counters, uint8_t *restrict counts, uint8_t *restrict reduced)
{
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++) {
        counts[i] = (uint8_t)(counters[i] > 255 ? 255 : counters[i]);
        reduced[i] = (uint8_t)(counters[i] > 255 ? 255 : counters[i] - 1);
    }
}

/* Bit i is set where byte i is not 0. The product moves the lowest bits of eight bytes, which are 0 or 1, to the
 * bits 56 and up, and no two of them meet. */
static uint64_t bitmap_of(const uint8_t *counts)
{
    uint64_t bitmap = 0;
    uint8_t occupied[OBS_LOGHIST_PAGE_BUCKETS];
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        occupied[i] = counts[i] != 0;
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i += 8)
        bitmap |= (obs_load_u64(occupied + i) * UINT64_C(0x0102040810204080)) >> 56 << i;
    return bitmap;
}

static void gather_page(const obs_loghist_range_t *range, size_t page, gathered_t *gathered)
{
    uint8_t reduced[OBS_LOGHIST_PAGE_BUCKETS]; /* count - 1; means nothing where the count is 0 */
    if (range->wide)
        saturate_wide((const uint64_t *)range->pages + page, gathered->dense, reduced);
    else
        saturate_narrow((const uint32_t *)range->pages + page, gathered->dense, reduced);
    gathered->bitmap = bitmap_of(gathered->dense);
    gathered->occupied_count = obs_bits_set(gathered->bitmap);
    memset(gathered->sparse, 0, sizeof gathered->sparse);
    uint8_t *sparse = gathered->sparse;
    for (uint64_t bitmap = gathered->bitmap; bitmap != 0; bitmap &= bitmap - 1)
        *sparse++ = reduced[__builtin_ctzll(bitmap)];
}

static const uint8_t *fields_of(const gathered_t *gathered, unsigned form)
{
    return form & OBS_LOGHIST_FORM_DENSE ? gathered->dense : gathered->sparse;
}

static unsigned field_count(const gathered_t *gathered, unsigned form)
{
    return form & OBS_LOGHIST_FORM_DENSE ? OBS_LOGHIST_PAGE_BUCKETS : gathered->occupied_count;
}

static unsigned count_escapes(const gathered_t *gathered, unsigned form)
{
    const uint8_t *fields = fields_of(gathered, form);
    uint8_t escape = (uint8_t)obs_fields_escape(form & OBS_LOGHIST_FORM_WIDTH);
    uint8_t escapes = 0; /* bytes throughout: 16 a vector */
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        escapes = (uint8_t)(escapes + (fields[i] >= escape));
    return escapes;
}

/* The form with the fewest bytes, where each excess counts as two: it costs the reader time. Where few or nearly
 * all buckets are occupied, only one of the two kinds can be that. */
static unsigned choose_form(const gathered_t *gathered)
{
    unsigned first = gathered->occupied_count > 56 ? OBS_LOGHIST_FORM_DENSE : 0;
    unsigned last = gathered->occupied_count < 32 ? OBS_LOGHIST_FORM_WIDTH : OBS_LOGHIST_FORMS - 1;
    unsigned best = 0;
    size_t best_size = SIZE_MAX;
    for (unsigned form = first; form <= last; form++) {
        size_t size = form & OBS_LOGHIST_FORM_DENSE ? 0 : sizeof gathered->bitmap;
        size += obs_fields_size(form & OBS_LOGHIST_FORM_WIDTH, field_count(gathered, form));
        size += 2 * (size_t)count_escapes(gathered, form);
        if (size < best_size) {
            best = form;
            best_size = size;
        }
    }
    return best;
}

static void write_fields(writer_t *writer, const gathered_t *gathered, unsigned form)
{
    unsigned width_code = form & OBS_LOGHIST_FORM_WIDTH, count = field_count(gathered, form);
    const uint8_t *unlimited = fields_of(gathered, form);
    uint8_t escape = (uint8_t)obs_fields_escape(width_code);
    uint8_t fields[OBS_LOGHIST_PAGE_BUCKETS], packed[OBS_LOGHIST_PAGE_BUCKETS + sizeof(uint64_t)];
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        fields[i] = unlimited[i] < escape ? unlimited[i] : escape;
    for (unsigned i = 0; i < count; i += 8) /* whole words are written, each over the last one's zeros */
        obs_store_u64(packed + (i >> 3 << width_code), obs_fields_squeeze(obs_load_u64(fields + i), width_code));
    size_t size = obs_fields_size(width_code, count);
    uint8_t *out = take(writer, size);
    if (out != NULL)
        memcpy(out, packed, size);
}

static void write_excesses(writer_t *writer, const obs_loghist_range_t *range, size_t page, unsigned form)
{
    uint64_t least = obs_fields_escape(form & OBS_LOGHIST_FORM_WIDTH) + (form & OBS_LOGHIST_FORM_DENSE ? 0u : 1u);
    for (unsigned i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++) {
        uint64_t count = obs_range_counter(range, page + i);
        if (count >= least)
            write_varint(writer, count - least);
    }
}

static void write_page(writer_t *writer, const obs_loghist_range_t *range, size_t page, uint64_t gap)
{
    gathered_t gathered;
    gather_page(range, page, &gathered);
    unsigned form = choose_form(&gathered);
    write_varint(writer, gap << OBS_LOGHIST_FORM_BITS | form);
    uint8_t *bitmap = form & OBS_LOGHIST_FORM_DENSE ? NULL : take(writer, sizeof gathered.bitmap);
    if (bitmap != NULL)
        obs_store_u64(bitmap, gathered.bitmap);
    write_fields(writer, &gathered, form);
    if (count_escapes(&gathered, form) != 0)
        write_excesses(writer, range, page, form);
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
    /* The chosen form is taken to be no longer than one byte for each field and two for each count above 255;
     * it may be longer than taken only where an excess, and so a count, is above 2^14. */
    uint64_t excesses = hist->count / 128;
    if (excesses > page_count * OBS_LOGHIST_PAGE_BUCKETS)
        excesses = page_count * OBS_LOGHIST_PAGE_BUCKETS;
    return totals + page_count * page + (size_t)excesses * obs_varint_size(hist->count);
}
