/* loghist_read.h: encoded pages, one after the other. Private to loghist*.c; loghist_codec.h has the grammar.
 *
 * Reading happens twice: obs_loghist_read_checked believes nothing and finds out where the pages are; a merge
 * then walks them again and has nothing left to refuse.
 */
#ifndef OBS_LOGHIST_READ_H
#define OBS_LOGHIST_READ_H

#include "loghist_codec.h"
#include "obs_port.h"
#include "varint.h"

/* Pages of any scale lie well within these. */
#define OBS_LEAST_PAGE INT16_MIN
#define OBS_GREATEST_PAGE INT16_MAX

typedef struct {
    const uint8_t *cursor;
    const uint8_t *end;
} obs_reader_t;

static inline size_t obs_bytes_left(const obs_reader_t *reader)
{
    return (size_t)(reader->end - reader->cursor);
}

static inline int obs_read_varint(obs_reader_t *reader, uint64_t *value)
{
    return obs_varint_get(&reader->cursor, reader->end, value);
}

/* One page as it lies in the bytes. */
typedef struct {
    int32_t page_number;
    unsigned width_code;
    unsigned base; /* added to each field: 1 in the sparse form, 0 in the dense */
    unsigned field_count;
    uint64_t bitmap; /* 0 in the dense form */
    const uint8_t *fields;
    size_t fields_size;
} obs_encoded_page_t;

static inline int obs_read_bitmap(obs_reader_t *reader, obs_encoded_page_t *page)
{
    if (obs_bytes_left(reader) < sizeof page->bitmap)
        return OBS_ERR_CORRUPT;
    page->bitmap = obs_load_u64(reader->cursor);
    reader->cursor += sizeof page->bitmap;
    page->field_count = obs_bits_set(page->bitmap);
    return OBS_OK;
}

/* Reads a page up to its excesses, where the reader then stands. next_page is the number it has without a gap. */
static inline int obs_read_page(obs_reader_t *reader, int32_t next_page, obs_encoded_page_t *page)
{
    uint64_t gap_and_form;
    int status = obs_read_varint(reader, &gap_and_form);
    if (status != OBS_OK)
        return status;
    uint64_t gap = gap_and_form >> OBS_LOGHIST_FORM_BITS;
    if (gap > (uint64_t)(OBS_GREATEST_PAGE - OBS_LEAST_PAGE))
        return OBS_ERR_CORRUPT;
    page->page_number = next_page + (int32_t)gap;
    page->width_code = gap_and_form & OBS_LOGHIST_FORM_WIDTH;
    page->base = gap_and_form & OBS_LOGHIST_FORM_DENSE ? 0 : 1;
    page->bitmap = 0;
    page->field_count = OBS_LOGHIST_PAGE_BUCKETS;
    if (page->base != 0 && obs_read_bitmap(reader, page) != OBS_OK)
        return OBS_ERR_CORRUPT;
    page->fields = reader->cursor;
    page->fields_size = obs_fields_size(page->width_code, page->field_count);
    if (page->page_number > OBS_GREATEST_PAGE || obs_bytes_left(reader) < page->fields_size)
        return OBS_ERR_CORRUPT;
    reader->cursor += page->fields_size;
    return OBS_OK;
}

/* The bytes from `at` up to `end` (at most eight of them) as the low bytes of a word; reads not beyond `limit`. */
static inline uint64_t obs_load_word(const uint8_t *at, const uint8_t *end, const uint8_t *limit)
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

static inline unsigned obs_escape_count(const obs_encoded_page_t *page, const uint8_t *limit)
{
    const uint8_t *fields_end = page->fields + page->fields_size;
    unsigned escaped = 0;
    for (const uint8_t *at = page->fields; at < fields_end; at += sizeof(uint64_t))
        escaped += obs_fields_escaped(obs_load_word(at, fields_end, limit), page->width_code);
    return escaped;
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
} obs_encoded_range_t;

/* A checked histogram: its totals (their ranges empty) and its ranges. */
typedef struct {
    obs_loghist_t totals;
    obs_encoded_range_t positive;
    obs_encoded_range_t negative;
} obs_encoded_t;

/* Everything is checked: OBS_ERR_CORRUPT, OBS_ERR_VERSION, or *encoded is filled in. */
OBS_MUST_CHECK int obs_loghist_read_checked(const uint8_t *bytes, size_t size, obs_encoded_t *encoded);

#endif
