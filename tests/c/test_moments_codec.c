// kernels: moments obs
#include <math.h>
#include <string.h>

#include "distributions.h"
#include "hostile.h"
#include "moments.h"
#include "obs_port.h"

static obs_moments_t moments_of(const double *from, size_t count)
{
    obs_moments_t moments;
    obs_moments_init(&moments);
    CHECK_OK(obs_moments_add_many(&moments, from, count));
    return moments;
}

static size_t encode(const obs_moments_t *moments, uint8_t *bytes)
{
    size_t size;
    CHECK_OK(obs_moments_encode(moments, bytes, OBS_MOMENTS_ENCODED_MAX, &size));
    CHECK(size <= OBS_MOMENTS_ENCODED_MAX);
    return size;
}

static void check_round_trip(const obs_moments_t *moments)
{
    uint8_t bytes[OBS_MOMENTS_ENCODED_MAX], again[OBS_MOMENTS_ENCODED_MAX];
    obs_moments_t decoded;
    uint64_t samples;
    size_t size = encode(moments, bytes);
    CHECK_OK(obs_moments_check(bytes, size, &samples));
    CHECK(samples == obs_moments_samples(moments));
    CHECK_OK(obs_moments_decode(bytes, size, &decoded));
    CHECK_EQ(encode(&decoded, again), size);
    CHECK(memcmp(bytes, again, size) == 0);
    CHECK(decoded.min == moments->min && decoded.max == moments->max && decoded.mean == moments->mean);
    CHECK(decoded.m2 == moments->m2 && decoded.m4 == moments->m4);
    CHECK(decoded.m3 == moments->m3 || (isnan(decoded.m3) && isnan(moments->m3)));
}

static void test_encoding_is_lossless(void)
{
    static double values[1000];
    obs_moments_t moments = moments_of(values, 0);
    check_round_trip(&moments);
    for (size_t d = 0; d < COUNT_OF(DISTRIBUTIONS); d++) {
        fill_from(values, COUNT_OF(values), &DISTRIBUTIONS[d], 5);
        values[d] = NAN;
        moments = moments_of(values, COUNT_OF(values));
        CHECK_OK(obs_moments_add_nulls(&moments, d));
        check_round_trip(&moments);
    }
    moments = moments_of((const double[]){1e308, -1e308, 1e200}, 3);
    check_round_trip(&moments);
    moments = moments_of((const double[]){-0.0}, 1);
    CHECK_OK(obs_moments_add_wrong_types(&moments, UINT64_MAX - 1));
    check_round_trip(&moments);
}

static void test_merging_bytes_is_merging_the_moments(void)
{
    uint8_t bytes[OBS_MOMENTS_ENCODED_MAX];
    obs_moments_t left = moments_of((const double[]){1, 2, 4}, 3), same = left;
    obs_moments_t right = moments_of((const double[]){-7, INFINITY}, 2);
    size_t size = encode(&right, bytes);
    CHECK_OK(obs_moments_merge_encoded(&left, bytes, size));
    CHECK_OK(obs_moments_merge(&same, &right));
    CHECK(memcmp(&left, &same, sizeof left) == 0);
    CHECK_STATUS(obs_moments_merge_encoded(&left, bytes, size - 1), OBS_ERR_CORRUPT);
    CHECK_OK(obs_moments_add_nulls(&left, UINT64_MAX - 5));
    same = left;
    CHECK_STATUS(obs_moments_merge_encoded(&left, bytes, size), OBS_ERR_RANGE);
    CHECK(memcmp(&left, &same, sizeof left) == 0);
}

static int read(const uint8_t *bytes, size_t size)
{
    obs_moments_t moments;
    int status = obs_moments_decode(bytes, size, &moments);
    CHECK_STATUS(obs_moments_check(bytes, size, NULL), status);
    if (status == OBS_OK)
        check_round_trip(&moments);
    else
        CHECK_STATUS(status, OBS_ERR_CORRUPT);
    return status;
}

static void test_refuses_hostile_bytes(void)
{
    uint8_t bytes[OBS_MOMENTS_ENCODED_MAX + 1];
    obs_moments_t moments = moments_of((const double[]){1, 2, 4, 4, NAN}, 5);
    size_t size = encode(&moments, bytes);
    CHECK_EQ(hostile_truncations(read, bytes, size), 0);
    hostile_flips(read, bytes, size, 3000, 7);
    bytes[size] = 0;
    CHECK_STATUS(read(bytes, size + 1), OBS_ERR_CORRUPT);
    size_t unused;
    CHECK_STATUS(obs_moments_encode(&moments, bytes, OBS_MOMENTS_ENCODED_MAX - 1, &unused), OBS_ERR_FULL);
}

enum { COUNTS = 6, MEAN = 0, M2, M3, M4, MIN, MAX };

/* Each breaks one rule; the sound ones are the values 1, 2 and 4. */
static void test_names_each_malformation(void)
{
    static const struct {
        int at;
        double value;
    } WRONG[] = {
        {MEAN, 0.5}, {MEAN, 4.5}, {MEAN, NAN}, {M2, -1}, {M2, NAN},  {M2, -0.0}, {M3, INFINITY},  {M3, -0.0},
        {M4, -1},    {M4, NAN},   {MIN, NAN},  {MIN, 5}, {MAX, NAN}, {MAX, 0.5}, {MAX, INFINITY}, {MIN, -INFINITY},
    };
    uint8_t bytes[OBS_MOMENTS_ENCODED_MAX], changed[OBS_MOMENTS_ENCODED_MAX];
    obs_moments_t moments = moments_of((const double[]){1, 2, 4}, 3);
    size_t size = encode(&moments, bytes);
    for (size_t i = 0; i < COUNT_OF(WRONG); i++) {
        memcpy(changed, bytes, size);
        obs_store_f64(changed + COUNTS + 8 * WRONG[i].at, WRONG[i].value);
        CHECK_STATUS(read(changed, size), OBS_ERR_CORRUPT);
    }
    memcpy(changed, bytes, size);
    obs_store_u64(changed + COUNTS + 8 * M3, UINT64_C(0x7ff8000000000001)); /* another NaN */
    CHECK_STATUS(read(changed, size), OBS_ERR_CORRUPT);
    obs_store_f64(changed + COUNTS + 8 * M3, NAN);
    CHECK_OK(read(changed, size));
    changed[0] = 1; /* one value that spreads */
    CHECK_STATUS(read(changed, size), OBS_ERR_CORRUPT);
    const uint8_t too_many[] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1, 0, 0, 0};
    CHECK_STATUS(read(too_many, sizeof too_many), OBS_ERR_CORRUPT);
}

/* A constant that claims to spread. */
static void test_refuses_the_spread_of_a_constant(void)
{
    uint8_t bytes[OBS_MOMENTS_ENCODED_MAX];
    obs_moments_t moments = moments_of((const double[]){2, 2}, 2);
    size_t size = encode(&moments, bytes);
    CHECK_OK(read(bytes, size));
    for (int at = M2; at <= M4; at++) {
        obs_store_f64(bytes + COUNTS + 8 * at, 1);
        CHECK_STATUS(read(bytes, size), OBS_ERR_CORRUPT);
        obs_store_f64(bytes + COUNTS + 8 * at, 0);
    }
}

int main(void)
{
    RUN(test_encoding_is_lossless);
    RUN(test_merging_bytes_is_merging_the_moments);
    RUN(test_refuses_hostile_bytes);
    RUN(test_names_each_malformation);
    RUN(test_refuses_the_spread_of_a_constant);
    return 0;
}
