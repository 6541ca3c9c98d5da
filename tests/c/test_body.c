// kernels: body loghist tdigest column edges hll moments topk obs
#include "body.h"

#include <math.h>

#include "alloc_seam.h"
#include "check.h"
#include "columns.h"
#include "hostile.h"

/* A digest of that many samples. */
static void put_digest(obs_body_t *body, uint32_t series, uint64_t samples)
{
    obs_tdigest_t digest;
    CHECK_OK(obs_tdigest_init(&digest, 100));
    for (uint64_t i = 1; i < samples; i++)
        CHECK_OK(obs_tdigest_add(&digest, (double)i * 0.37, 1));
    CHECK_OK(obs_tdigest_add(&digest, (double)INFINITY, 1));
    CHECK_OK(obs_body_put_tdigest(body, series, &digest));
    obs_tdigest_free(&digest);
}

static void put_column(obs_body_t *body, uint32_t series)
{
    sided_t sided;
    sided_init(&sided);
    fill_categories(&sided, 1, 30);
    fill_numbers(&sided, NULL, 1, 30);
    CHECK_OK(obs_body_put_column(body, series, &sided.hist, &sided.column));
    sided_free(&sided);
}

static uint64_t column_samples(void)
{
    sided_t sided;
    sided_init(&sided);
    fill_categories(&sided, 1, 30);
    fill_numbers(&sided, NULL, 1, 30);
    uint64_t samples = sided_samples(&sided);
    sided_free(&sided);
    return samples;
}

/* One entry of each type; the histogram has all its parts. */
static void fill(obs_body_t *body)
{
    const double run[] = {1.5, -2.0, 0.0, (double)NAN, (double)INFINITY};
    obs_loghist_t hist;
    CHECK_OK(obs_loghist_init(&hist, 6));
    for (int i = -40; i <= 40; i++)
        CHECK_OK(obs_loghist_add(&hist, i * 0.37, 3));
    CHECK_OK(obs_loghist_add(&hist, (double)-INFINITY, 1));
    CHECK_OK(obs_body_begin(body));
    CHECK_OK(obs_body_put_run(body, 0, run, 5));
    CHECK_OK(obs_body_put_loghist(body, 300, &hist));
    put_digest(body, 300, 81 * 3 + 1);
    CHECK_OK(obs_body_put_counter(body, 7, 1000000, 2.5e9));
    CHECK_OK(obs_body_put_gauge(body, OBS_BODY_MAX_SERIES, -0.25));
    put_column(body, 8);
    obs_loghist_free(&hist);
}

static const uint64_t FILLED_BESIDE_COLUMN = 5 + 81 * 3 + 1 + 1000000 + 1;

/* Walks to the end as the window does. */
static int read_all(const uint8_t *bytes, size_t size)
{
    uint64_t samples;
    int checked = obs_body_check(bytes, size, &samples);
    obs_body_reader_t reader;
    int status = obs_body_reader_init(&reader, bytes, size);
    if (status != OBS_OK) {
        CHECK_EQ(checked, status);
        return status;
    }
    obs_body_entry_t entry;
    double sum = 0;
    while ((status = obs_body_next(&reader, &entry)) > 0)
        for (size_t index = 0; index < entry.size; index++)
            sum += entry.bytes[index];
    CHECK(sum >= 0);
    CHECK(checked != OBS_OK || status == OBS_OK);
    return checked;
}

static void reads_what_was_written(void)
{
    obs_body_t body;
    obs_body_init(&body);
    fill(&body);
    uint64_t samples = 0;
    CHECK_OK(obs_body_check(body.bytes, body.size, &samples));
    CHECK_EQ(samples, FILLED_BESIDE_COLUMN + column_samples());
    CHECK_OK(obs_body_check(body.bytes, body.size, NULL));

    obs_body_reader_t reader;
    obs_body_entry_t entry;
    CHECK_OK(obs_body_reader_init(&reader, body.bytes, body.size));
    CHECK_EQ(obs_body_next(&reader, &entry), 1);
    CHECK(entry.series == 0 && entry.type == OBS_BODY_RUN && entry.count == 5 && entry.size == 40);
    double value;
    memcpy(&value, entry.bytes + 8, sizeof value);
    CHECK(value == -2.0);
    CHECK_OK(obs_body_entry_samples(&entry, &samples));
    CHECK_EQ(samples, 5);

    CHECK_EQ(obs_body_next(&reader, &entry), 1);
    CHECK(entry.series == 300 && entry.type == OBS_BODY_LOGHIST);
    CHECK_OK(obs_body_entry_samples(&entry, &samples));
    CHECK_EQ(samples, 81 * 3 + 1);

    CHECK_EQ(obs_body_next(&reader, &entry), 1);
    CHECK(entry.series == 300 && entry.type == OBS_BODY_TDIGEST);
    CHECK_OK(obs_tdigest_check(entry.bytes, entry.size, &samples));
    CHECK_EQ(samples, 81 * 3 + 1);
    CHECK_OK(obs_body_entry_samples(&entry, &samples));
    CHECK_EQ(samples, 0);

    CHECK_EQ(obs_body_next(&reader, &entry), 1);
    CHECK(entry.series == 7 && entry.type == OBS_BODY_COUNTER && entry.count == 1000000 && entry.value == 2.5e9);
    CHECK_EQ(obs_body_next(&reader, &entry), 1);
    CHECK(entry.series == OBS_BODY_MAX_SERIES && entry.type == OBS_BODY_GAUGE && entry.value == -0.25);
    CHECK_EQ(entry.count, 1);
    CHECK_EQ(obs_body_next(&reader, &entry), 1);
    CHECK(entry.series == 8 && entry.type == OBS_BODY_COLUMN);
    CHECK_OK(obs_body_entry_samples(&entry, &samples));
    CHECK_EQ(samples, column_samples());
    CHECK_EQ(obs_body_next(&reader, &entry), 0);
    CHECK_EQ(obs_body_next(&reader, &entry), 0);
    obs_body_free(&body);
}

/* A digest stands behind the histogram of its own samples and nowhere else. */
static void a_digest_belongs_to_its_histogram(void)
{
    const struct {
        uint32_t series;
        uint64_t samples;
        int expected;
    } cases[] = {{3, 20, OBS_OK}, {3, 19, OBS_ERR_CORRUPT}, {3, 21, OBS_ERR_CORRUPT}, {4, 20, OBS_ERR_CORRUPT}};
    obs_loghist_t hist;
    CHECK_OK(obs_loghist_init(&hist, 6));
    CHECK_OK(obs_loghist_add(&hist, 1.5, 20));
    obs_body_t body;
    obs_body_init(&body);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t samples;
        CHECK_OK(obs_body_begin(&body));
        CHECK_OK(obs_body_put_loghist(&body, 3, &hist));
        put_digest(&body, cases[i].series, cases[i].samples);
        CHECK_STATUS(obs_body_check(body.bytes, body.size, &samples), cases[i].expected);
        CHECK(cases[i].expected != OBS_OK || samples == 20);
    }
    CHECK_OK(obs_body_begin(&body));
    CHECK_OK(obs_body_put_loghist(&body, 3, &hist));
    put_digest(&body, 3, 20);
    put_digest(&body, 3, 20);
    CHECK_STATUS(obs_body_check(body.bytes, body.size, NULL), OBS_ERR_CORRUPT);
    obs_loghist_free(&hist);
    obs_body_free(&body);
}

static void begins_again_with_the_same_memory(void)
{
    obs_body_t body;
    obs_body_init(&body);
    fill(&body);
    size_t capacity = body.capacity, size = body.size;
    fill(&body);
    CHECK(body.capacity == capacity && body.size == size);
    CHECK_OK(obs_body_begin(&body));
    uint64_t samples = 1;
    CHECK_OK(obs_body_check(body.bytes, body.size, &samples));
    CHECK_EQ(samples, 0);
    obs_body_free(&body);
    CHECK_STATUS(obs_body_put_gauge(&body, 0, 1), OBS_ERR_STATE);
    CHECK_OK(obs_body_begin(&body));
    obs_body_free(&body);
}

static void refuses_arguments_and_stays_as_it_was(void)
{
    obs_body_t body;
    obs_body_init(&body);
    fill(&body);
    size_t size = body.size;
    const double value = 1;
    obs_loghist_t hist;
    CHECK_OK(obs_loghist_init(&hist, 6));
    CHECK_STATUS(obs_body_put_run(&body, 1, &value, 0), OBS_ERR_RANGE);
    CHECK_STATUS(obs_body_put_run(&body, 1, &value, OBS_BODY_MAX_RUN + 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_body_put_run(&body, OBS_BODY_MAX_SERIES + 1, &value, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_body_put_loghist(&body, OBS_BODY_MAX_SERIES + 1, &hist), OBS_ERR_RANGE);
    CHECK_STATUS(obs_body_put_gauge(&body, UINT32_MAX, 1), OBS_ERR_RANGE);
    obs_column_t column;
    obs_column_init(&column, 0);
    CHECK_STATUS(obs_body_put_column(&body, UINT32_MAX, &hist, &column), OBS_ERR_RANGE);
    CHECK_STATUS(obs_body_put_counter(&body, 1, 0, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_body_put_counter(&body, 1, OBS_BODY_MAX_SAMPLES + 1, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_body_put_counter(&body, 1, 1, -1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_body_put_counter(&body, 1, 1, (double)NAN), OBS_ERR_RANGE);
    CHECK_STATUS(obs_body_put_counter(&body, 1, 1, (double)INFINITY), OBS_ERR_RANGE);
    CHECK_EQ(body.size, size);
    CHECK_OK(obs_body_check(body.bytes, body.size, NULL));
    obs_body_free(&body);
}

static void takes_the_longest_run(void)
{
    double *values = calloc(OBS_BODY_MAX_RUN, sizeof *values);
    CHECK(values != NULL);
    obs_body_t body;
    obs_body_init(&body);
    CHECK_OK(obs_body_begin(&body));
    CHECK_OK(obs_body_put_run(&body, 5, values, OBS_BODY_MAX_RUN));
    uint64_t samples;
    CHECK_OK(obs_body_check(body.bytes, body.size, &samples));
    CHECK_EQ(samples, OBS_BODY_MAX_RUN);
    obs_body_free(&body);
    free(values);
}

#define F64_ONE 0, 0, 0, 0, 0, 0, 0xf0, 0x3f
#define F64_MINUS_ONE 0, 0, 0, 0, 0, 0, 0xf0, 0xbf
#define F64_INFINITY 0, 0, 0, 0, 0, 0, 0xf0, 0x7f
#define F64_NAN 0, 0, 0, 0, 0, 0, 0xf8, 0x7f

typedef struct {
    const char *name;
    int expected;
    size_t size;
    uint8_t bytes[32];
} malformation_t;

static const malformation_t MALFORMATIONS[] = {
    {"sound", OBS_OK, 11, {1, 0, 4, F64_ONE}},
    {"version 0", OBS_ERR_VERSION, 11, {0, 0, 4, F64_ONE}},
    {"version 2", OBS_ERR_VERSION, 11, {2, 0, 4, F64_ONE}},
    {"series without type", OBS_ERR_CORRUPT, 2, {1, 0}},
    {"series cut", OBS_ERR_CORRUPT, 2, {1, 0x80}},
    {"series overlong", OBS_ERR_CORRUPT, 12, {1, 0x80, 0, 4, F64_ONE}},
    {"series 2^31", OBS_ERR_CORRUPT, 15, {1, 0x80, 0x80, 0x80, 0x80, 8, 4, F64_ONE}},
    {"type 0", OBS_ERR_CORRUPT, 11, {1, 0, 0, F64_ONE}},
    {"t-digest without histogram", OBS_ERR_CORRUPT, 9, {1, 0, 5, 5, 100, 0, 0, 0, 0}},
    {"empty t-digest of an empty histogram", OBS_OK, 15, {1, 0, 2, 3, 1, 6, 0, 0, 5, 5, 100, 0, 0, 0, 0}},
    {"t-digest longer than the bytes", OBS_ERR_CORRUPT, 14, {1, 0, 2, 3, 1, 6, 0, 0, 5, 5, 100, 0, 0, 0}},
    {"t-digest of compression 1", OBS_ERR_CORRUPT, 15, {1, 0, 2, 3, 1, 6, 0, 0, 5, 5, 1, 0, 0, 0, 0}},
    {"column of 0 bytes", OBS_ERR_CORRUPT, 4, {1, 0, 6, 0}},
    {"column longer than the bytes", OBS_ERR_CORRUPT, 5, {1, 0, 6, 2, 1}},
    {"column without extras", OBS_ERR_CORRUPT, 8, {1, 0, 6, 4, 3, 1, 6, 0}},
    {"column with unknown parts", OBS_ERR_VERSION, 11, {1, 0, 6, 7, 3, 1, 6, 0, 8, 0, 0}},
    {"type 7", OBS_ERR_CORRUPT, 11, {1, 0, 7, F64_ONE}},
    {"run of 0", OBS_ERR_CORRUPT, 4, {1, 0, 1, 0}},
    {"run longer than the bytes", OBS_ERR_CORRUPT, 12, {1, 0, 1, 2, F64_ONE}},
    {"run of 65537", OBS_ERR_CORRUPT, 14, {1, 0, 1, 0x81, 0x80, 4, F64_ONE}},
    {"run of 2^61 + 1, whose bytes wrap to 8",
     OBS_ERR_CORRUPT,
     20,
     {1, 0, 1, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, F64_ONE}},
    {"histogram longer than the bytes", OBS_ERR_CORRUPT, 5, {1, 0, 2, 2, 1}},
    {"histogram of 2^64 - 1 bytes",
     OBS_ERR_CORRUPT,
     13,
     {1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
    {"histogram of 0 bytes", OBS_ERR_CORRUPT, 4, {1, 0, 2, 0}},
    {"histogram of another format", OBS_ERR_VERSION, 7, {1, 0, 2, 3, 99, 6, 0}},
    {"counter of 0 increments", OBS_ERR_CORRUPT, 12, {1, 0, 3, 0, F64_ONE}},
    {"counter without sum", OBS_ERR_CORRUPT, 4, {1, 0, 3, 1}},
    {"counter with negative sum", OBS_ERR_CORRUPT, 12, {1, 0, 3, 1, F64_MINUS_ONE}},
    {"counter with infinite sum", OBS_ERR_CORRUPT, 12, {1, 0, 3, 1, F64_INFINITY}},
    {"counter with NaN", OBS_ERR_CORRUPT, 12, {1, 0, 3, 1, F64_NAN}},
    {"counter of 2^48 increments", OBS_OK, 18, {1, 0, 3, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, F64_ONE}},
    {"counter of 2^48 + 1 increments",
     OBS_ERR_CORRUPT,
     18,
     {1, 0, 3, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, F64_ONE}},
    {"gauge cut", OBS_ERR_CORRUPT, 10, {1, 0, 4, F64_ONE}},
    {"gauge that is NaN", OBS_OK, 11, {1, 0, 4, F64_NAN}},
    {"a byte too many", OBS_ERR_CORRUPT, 12, {1, 0, 4, F64_ONE, 0}},
};

static void refuses_named_malformations(void)
{
    for (size_t index = 0; index < sizeof MALFORMATIONS / sizeof *MALFORMATIONS; index++) {
        const malformation_t *bad = &MALFORMATIONS[index];
        printf("  %s\n", bad->name);
        CHECK_STATUS(hostile_read_copy(read_all, bad->bytes, bad->size), bad->expected);
    }
    CHECK_STATUS(hostile_read_copy(read_all, NULL, 0), OBS_ERR_CORRUPT);
}

static void reads_nothing_outside_of_mutilated_bytes(void)
{
    obs_body_t body;
    obs_body_init(&body);
    fill(&body);
    /* The version alone, and the ends of the first five entries. */
    CHECK_EQ(hostile_truncations(read_all, body.bytes, body.size), 6);
    size_t accepted = hostile_flips(read_all, body.bytes, body.size, 20000, 1);
    CHECK(accepted < 20000);
    obs_body_free(&body);
}

static int put_all(obs_body_t *body, const obs_loghist_t *hist, obs_tdigest_t *digest)
{
    const double run[200] = {0};
    int status = obs_body_begin(body);
    for (uint32_t series = 0; status == OBS_OK && series < 4; series++) {
        size_t before = body->size;
        status = obs_body_put_run(body, series, run, 200);
        if (status == OBS_OK)
            status = obs_body_put_loghist(body, series, hist);
        if (status == OBS_OK)
            status = obs_body_put_tdigest(body, series, digest);
        CHECK(status == OBS_OK || body->size >= before);
    }
    return status;
}

static void survives_each_failed_allocation(void)
{
    obs_loghist_t hist;
    obs_tdigest_t digest;
    CHECK_OK(obs_loghist_init(&hist, 8));
    CHECK_OK(obs_tdigest_init(&digest, 100));
    for (double value = 1e-3; value < 1e3; value *= 1.01) {
        CHECK_OK(obs_loghist_add(&hist, value, 1));
        CHECK_OK(obs_tdigest_add(&digest, value, 1));
    }
    for (size_t n = 1;; n++) {
        obs_body_t body;
        obs_body_init(&body);
        obs_alloc_fail_at(n);
        int status = put_all(&body, &hist, &digest);
        obs_alloc_fail_at(0);
        CHECK(body.size == 0 || obs_body_check(body.bytes, body.size, NULL) == OBS_OK);
        obs_body_free(&body);
        if (status == OBS_OK)
            break;
        CHECK_STATUS(status, OBS_ERR_NOMEM);
    }
    obs_loghist_free(&hist);
    obs_tdigest_free(&digest);
    CHECK_EQ(obs_alloc_live(), 0);
}

int main(void)
{
    RUN(reads_what_was_written);
    RUN(a_digest_belongs_to_its_histogram);
    RUN(begins_again_with_the_same_memory);
    RUN(refuses_arguments_and_stays_as_it_was);
    RUN(takes_the_longest_run);
    RUN(refuses_named_malformations);
    RUN(reads_nothing_outside_of_mutilated_bytes);
    RUN(survives_each_failed_allocation);
    return 0;
}
