// kernels: loghist obs
/* Bytes that are not a histogram: every truncation, flipped bits, noise, and malformations with a name. */
#include "hostile.h"
#include "loghist_codec_check.h"
#include "obs_port.h"
#include "varint.h"

/* A reader must accept or refuse, and what it accepts must be what it would have written. */
static int read_hostile(const uint8_t *bytes, size_t size)
{
    uint64_t samples = 77;
    obs_loghist_t hist = new_hist(8);
    int status = obs_loghist_check(bytes, size, &samples);
    CHECK_EQ(obs_loghist_merge_encoded(&hist, bytes, size), status);
    if (status == OBS_OK) {
        CHECK(samples - hist.count == hist.nan_count + hist.positive_infinity_count + hist.negative_infinity_count);
        check_consistent(&hist);
        check_round_trip(&hist);
    } else {
        CHECK(status == OBS_ERR_CORRUPT || status == OBS_ERR_VERSION);
        CHECK(samples == 77);
        CHECK_EQ(obs_loghist_memory_bytes(&hist), sizeof hist);
    }
    obs_loghist_free(&hist);
    return status;
}

static void mutilated_bytes_are_never_believed(void)
{
    static uint8_t bytes[ROOM];
    for (int i = 0; i < 6; i++) {
        obs_loghist_t hist = i % 2 ? wild_hist(i, 20 + 40 * (size_t)i, 8) : lognormal_hist(6, 20 + 40 * (size_t)i, 9);
        size_t size = encode(&hist);
        memcpy(bytes, encoded, size);
        CHECK_EQ(hostile_truncations(read_hostile, bytes, size), 0);
        bytes[size] = 0;
        CHECK_STATUS(hostile_read_copy(read_hostile, bytes, size + 1), OBS_ERR_CORRUPT);
        size_t accepted = 0;
        for (size_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            accepted += hostile_read_copy(read_hostile, bytes, size) == OBS_OK;
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        CHECK(accepted < size * 8 / 2); /* there is no checksum; the sum's bits, for one, are free */
        hostile_flips(read_hostile, bytes, size, 3000, (uint64_t)i);
        obs_loghist_free(&hist);
    }
}

static void noise_is_never_believed_blindly(void)
{
    uint64_t state = 10;
    uint8_t noise[64];
    for (int i = 0; i < 50000; i++) {
        size_t size = check_random(&state) % sizeof noise;
        for (size_t j = 0; j < size; j++)
            noise[j] = check_random(&state) % 3 == 0 ? (uint8_t)check_random(&state) : 0;
        if (size > 1) {
            noise[0] = 1;
            noise[1] = (uint8_t)((noise[1] & 0xf0) | check_random(&state) % 9);
        }
        hostile_read_copy(read_hostile, noise, size);
    }
}

/* ---- bytes written by hand ---- */

typedef struct {
    uint8_t bytes[512];
    size_t size;
} form_t;

static void put_u8(form_t *form, unsigned value)
{
    form->bytes[form->size++] = (uint8_t)value;
}

static void put_varint(form_t *form, uint64_t value)
{
    form->size += obs_varint_put(form->bytes + form->size, value);
}

static void put_f64(form_t *form, double value)
{
    obs_store_f64(form->bytes + form->size, value);
    form->size += 8;
}

static void put_u64(form_t *form, uint64_t value)
{
    obs_store_u64(form->bytes + form->size, value);
    form->size += 8;
}

enum { ZERO = 0x10, NONFINITE = 0x20, POSITIVE = 0x40, NEGATIVE = 0x80 };

static form_t start(unsigned scale_and_flags, uint64_t count, double sum, double min, double max)
{
    form_t form = {.size = 0};
    put_u8(&form, 1);
    put_u8(&form, scale_and_flags);
    put_varint(&form, count);
    put_f64(&form, sum);
    put_f64(&form, min);
    put_f64(&form, max);
    return form;
}

/* A range of one page with fields of eight bits. */
static void put_page(form_t *form, int64_t page, uint64_t page_count, uint64_t gap, uint64_t bitmap, unsigned field)
{
    put_varint(form, obs_zigzag_encode(page));
    put_varint(form, page_count);
    put_varint(form, gap << 3 | 3);
    put_u64(form, bitmap);
    put_u8(form, field);
}

static int read_form(const form_t *form)
{
    return hostile_read_copy(read_hostile, form->bytes, form->size);
}

/* Three samples of 1.5 at scale 0: bucket 0, (1, 2]. The others below differ from this in one thing each. */
static void the_plain_form_is_accepted(void)
{
    form_t form = start(POSITIVE, 3, 4.5, 1.5, 1.5);
    put_page(&form, 0, 1, 0, 1, 2);
    CHECK_OK(read_form(&form));
    obs_loghist_t hist = decode(8, form.bytes, form.size);
    CHECK(hist.scale == 0 && hist.count == 3 && hist.sum == 4.5 && hist.min == 1.5 && hist.max == 1.5);
    CHECK_EQ(count_at(&hist.positive, 0), 3);
    obs_loghist_free(&hist);
}

#define REFUSED(form) CHECK_STATUS(read_form(form), OBS_ERR_CORRUPT)

static void wrong_totals_are_refused(void)
{
    const struct {
        uint64_t count;
        double sum, min, max;
    } wrong[] = {
        {4, 4.5, 1.5, 1.5},                 /* more than the buckets hold */
        {2, 4.5, 1.5, 1.5},                 /* fewer */
        {3, -4.5, 1.5, 1.5},                /* a sum of the wrong sign */
        {3, NAN, 1.5, 1.5},                 /* no overflow both ways without negative values */
        {3, 4.5, 1.6, 1.5},                 /* min above max */
        {3, 4.5, 1.0, 1.5},                 /* min below the bucket: (1, 2] */
        {3, 4.5, 1.5, nextafter(2.0, 3.0)}, /* max above it */
        {3, 4.5, -1.5, 1.5},                /* min on the wrong side of zero */
        {3, 4.5, 0.0, 1.5},                 /* a zero that is not counted */
        {3, 4.5, NAN, 1.5},
        {3, 4.5, 1.5, NAN},
        {3, 4.5, -INFINITY, 1.5},
        {3, 4.5, 1.5, INFINITY},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        form_t form = start(POSITIVE, wrong[i].count, wrong[i].sum, wrong[i].min, wrong[i].max);
        put_page(&form, 0, 1, 0, 1, 2);
        REFUSED(&form);
    }
    form_t form = start(POSITIVE, 3, INFINITY, INFINITY, INFINITY); /* the last bucket ends at 2^1024 */
    put_page(&form, 15, 1, 0, UINT64_C(1) << 63, 2);
    REFUSED(&form);
    form = start(POSITIVE, 3, INFINITY, 1.5, 2.0); /* an overflown sum, and the bucket's very bound */
    put_page(&form, 0, 1, 0, 1, 2);
    CHECK_OK(read_form(&form));
}

static void wrong_zeros_and_non_finite_counts_are_refused(void)
{
    form_t form = start(ZERO, 2, 0.0, 0.0, 0.0);
    put_varint(&form, 2);
    CHECK_OK(read_form(&form));
    form = start(ZERO, 2, 0.0, -0.0, 0.0);
    put_varint(&form, 2);
    REFUSED(&form);
    form = start(ZERO, 2, 0.0, 0.0, -0.0);
    put_varint(&form, 2);
    REFUSED(&form);
    form = start(ZERO, 2, -0.0, 0.0, 0.0);
    put_varint(&form, 2);
    REFUSED(&form);
    form = start(ZERO, 2, 1.0, 0.0, 0.0); /* zeros do not add up to something */
    put_varint(&form, 2);
    REFUSED(&form);
    form = (form_t){{1, ZERO, 0, 0}, 4}; /* a flag for nothing */
    REFUSED(&form);
    form = (form_t){{1, NONFINITE, 0, 0, 0, 0}, 6};
    REFUSED(&form);
    form = (form_t){{1, NONFINITE, 0, 1, 2, 3}, 6};
    CHECK_OK(read_form(&form));
    form = (form_t){{1, NONFINITE, 0}, 3}; /* samples that do not fit 64 bits */
    put_varint(&form, UINT64_MAX);
    put_varint(&form, 1);
    put_varint(&form, 0);
    REFUSED(&form);
    form.size = 3;
    put_varint(&form, UINT64_MAX - 1);
    put_varint(&form, 1);
    put_varint(&form, 2);
    REFUSED(&form);
}

static void wrong_heads_are_refused(void)
{
    form_t form = {{1, 9, 0}, 3};
    REFUSED(&form);
    form = (form_t){{2, 0, 0}, 3};
    CHECK_STATUS(read_form(&form), OBS_ERR_VERSION);
    form = (form_t){{0, 0, 0}, 3};
    CHECK_STATUS(read_form(&form), OBS_ERR_VERSION);
    form = start(0, 3, 4.5, 1.5, 1.5); /* counts without buckets */
    REFUSED(&form);
}

static void wrong_pages_are_refused(void)
{
    const struct {
        int64_t page;
        uint64_t page_count, gap, bitmap;
    } wrong[] = {
        {0, 0, 0, 1},          /* no page */
        {0, 2, 0, 1},          /* one too few */
        {0, UINT64_MAX, 0, 1}, /* far too few */
        {-1, 1, 1, 1},         /* a gap before the first page */
        {0, 1, 0, 0},          /* an empty page */
        {0, 1, 0, 2},          /* another bucket than min and max say */
        {INT64_MIN, 1, 0, 1},  /* no such page */
        {INT64_MAX, 1, 0, 1},  {-1, 1, UINT64_MAX >> 3, 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        form_t form = start(POSITIVE, 3, 4.5, 1.5, 1.5);
        put_page(&form, wrong[i].page, wrong[i].page_count, wrong[i].gap, wrong[i].bitmap, 2);
        REFUSED(&form);
    }
    form_t form = start(POSITIVE, 1, 4.5, 1.5, 1.5); /* fill that is not zero behind a field of one bit */
    put_varint(&form, 0);
    put_varint(&form, 1);
    put_varint(&form, 0);
    put_u64(&form, 1);
    put_u8(&form, 0);
    CHECK_OK(read_form(&form));
    form.bytes[form.size - 1] = 0x02;
    REFUSED(&form);
}

/* A page of one bucket behind another one. */
static void put_next_page(form_t *form, uint64_t gap, uint64_t bitmap, unsigned field)
{
    put_varint(form, gap << 3 | 3);
    put_u64(form, bitmap);
    if (bitmap != 0)
        put_u8(form, field);
}

static void wrong_pages_behind_the_first_are_refused(void)
{
    form_t form = {{1, POSITIVE, 0, 0, 0}, 5}; /* a range of no pages */
    REFUSED(&form);
    form = start(POSITIVE, 6, INFINITY, 1.5, 0x1.8p64); /* pages 0 and 1 */
    put_page(&form, 0, 2, 0, 1, 2);
    put_next_page(&form, 0, 1, 2);
    CHECK_OK(read_form(&form));
    form = start(POSITIVE, 6, INFINITY, 1.5, 0x1.8p64); /* the same, but for a gap of 2^32 */
    put_page(&form, 0, 2, 0, 1, 2);
    put_next_page(&form, UINT64_C(1) << 32, 1, 2);
    REFUSED(&form);
    form = start(POSITIVE, 6, INFINITY, 1.5, 0x1.8p128); /* an empty page between two */
    put_page(&form, 0, 3, 0, 1, 2);
    put_next_page(&form, 0, 0, 0);
    put_next_page(&form, 0, 1, 2);
    REFUSED(&form);
}

/* Dense, eight bits: 64 counts as they are. */
static void dense_pages_are_checked_too(void)
{
    form_t form = start(POSITIVE, 3, 4.5, 1.5, 1.5);
    put_varint(&form, 0);
    put_varint(&form, 1);
    put_varint(&form, 4 | 3);
    size_t fields = form.size;
    memset(form.bytes + fields, 0, 64);
    form.size += 64;
    form.bytes[fields] = 3;
    CHECK_OK(read_form(&form));
    form.bytes[fields] = 4;
    REFUSED(&form);
    form.bytes[fields] = 2;
    form.bytes[fields + 1] = 1; /* a bucket above the maximum */
    REFUSED(&form);
    form.size--;
    REFUSED(&form);
    form = (form_t){{1, POSITIVE, 0, 0, 1, 4 | 3}, 6 + 64}; /* 64 counts of zero */
    REFUSED(&form);
}

/* Page numbers that add up to more than an integer holds. */
static void a_very_long_range_is_refused(void)
{
    enum { PAGES = 40000 };
    form_t head = start(POSITIVE, PAGES + 1, INFINITY, 1.5, 1.5), page = {.size = 0};
    put_page(&head, 0, PAGES + 1, 0, 1, 0);
    put_next_page(&page, 65535, 1, 0);
    size_t size = head.size + PAGES * page.size;
    uint8_t *bytes = malloc(size);
    CHECK(bytes != NULL);
    memcpy(bytes, head.bytes, head.size);
    for (size_t i = 0; i < PAGES; i++)
        memcpy(bytes + head.size + i * page.size, page.bytes, page.size);
    CHECK_STATUS(hostile_read_copy(read_hostile, bytes, size), OBS_ERR_CORRUPT);
    free(bytes);
}

/* Doubles end at 2^1024 and 2^-1074; buckets beyond must not appear even between others. */
static void buckets_beyond_the_doubles_are_refused(void)
{
    form_t form = start(POSITIVE, 6, INFINITY, 1.5, 0x1p1023); /* pages 0 and 15: buckets 0 and 960 + 62 */
    put_page(&form, 0, 2, 0, 1, 2);
    put_varint(&form, 14 << 3 | 3);
    put_u64(&form, UINT64_C(1) << 62);
    put_u8(&form, 2);
    CHECK_OK(read_form(&form));
    form = start(POSITIVE | NEGATIVE, 6, 0.0, -0x1p-1074, 1.5); /* the lowest bucket: -1075, page -17 */
    put_page(&form, 0, 1, 0, 1, 2);
    put_page(&form, -17, 1, 0, UINT64_C(1) << 13, 2);
    CHECK_OK(read_form(&form));
    form = start(POSITIVE | NEGATIVE, 7, 0.0, -0x1p-1074, 1.5); /* and one below it */
    put_page(&form, 0, 1, 0, 1, 2);
    put_varint(&form, obs_zigzag_encode(-17));
    put_varint(&form, 1);
    put_varint(&form, 3);
    put_u64(&form, UINT64_C(3) << 12);
    put_u8(&form, 0);
    put_u8(&form, 2);
    REFUSED(&form);
}

static void overflowing_counts_are_refused(void)
{
    form_t form = start(POSITIVE, 1, 4.5, 1.5, 1.5); /* 2^64 + 1 is not 1 */
    put_page(&form, 0, 1, 0, 1, 255);
    put_varint(&form, UINT64_MAX - 254);
    REFUSED(&form);
    form = start(POSITIVE, 254, 4.5, 1.5, 1.5); /* nor are two counts that wrap around together */
    put_varint(&form, 0);
    put_varint(&form, 1);
    put_varint(&form, 3);
    put_u64(&form, 3);
    put_u8(&form, 255);
    put_u8(&form, 255);
    put_varint(&form, UINT64_MAX - 255);
    put_varint(&form, UINT64_MAX - 255);
    REFUSED(&form);
    form = start(POSITIVE, 1, INFINITY, 1.5, 0x1.8p64); /* nor two pages: 2^64 - 1 and 2 */
    put_page(&form, 0, 2, 0, 1, 255);
    put_varint(&form, UINT64_MAX - 256);
    put_next_page(&form, 0, 1, 1);
    REFUSED(&form);
    form = start(ZERO | POSITIVE, 1, 4.5, 0.0, 1.5); /* nor 2 zeros and 2^64 - 1 others */
    put_varint(&form, 2);
    put_page(&form, 0, 1, 0, 1, 255);
    put_varint(&form, UINT64_MAX - 256);
    REFUSED(&form);
}

int main(void)
{
    RUN(mutilated_bytes_are_never_believed);
    RUN(noise_is_never_believed_blindly);
    RUN(the_plain_form_is_accepted);
    RUN(wrong_totals_are_refused);
    RUN(wrong_zeros_and_non_finite_counts_are_refused);
    RUN(wrong_heads_are_refused);
    RUN(wrong_pages_are_refused);
    RUN(wrong_pages_behind_the_first_are_refused);
    RUN(dense_pages_are_checked_too);
    RUN(a_very_long_range_is_refused);
    RUN(buckets_beyond_the_doubles_are_refused);
    RUN(overflowing_counts_are_refused);
    return 0;
}
