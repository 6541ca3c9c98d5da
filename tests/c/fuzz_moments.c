// kernels: moments obs
/* Any bytes as moments: there is one way to write them, so that what is accepted is written again byte for byte; merged
 * into others they keep the invariants of moments.h, and samples add up. */
#include <math.h>

#include "fuzz.h"
#include "moments.h"

static void check_invariants(const obs_moments_t *moments)
{
    if (moments->count == 0)
        return;
    CHECK(moments->min <= moments->mean && moments->mean <= moments->max);
    CHECK(moments->m2 >= 0 && moments->m4 >= 0 && !isinf(moments->m3));
    CHECK(moments->min < moments->max || (moments->m2 == 0 && moments->m3 == 0 && moments->m4 == 0));
    CHECK(!(obs_moments_variance(moments) < 0));
    (void)obs_moments_skewness(moments);
    (void)obs_moments_kurtosis(moments);
}

static void check_merging(const uint8_t *data, size_t size, uint64_t samples)
{
    static const double VALUES[] = {-3, 0, 0, 1e300, NAN};
    obs_moments_t into;
    obs_moments_init(&into);
    uint64_t expected = 0;
    for (int time = 0; time < 3; time++) {
        int fits = samples <= UINT64_MAX - expected;
        CHECK_STATUS(obs_moments_merge_encoded(&into, data, size), fits ? OBS_OK : OBS_ERR_RANGE);
        expected += fits ? samples : 0;
        fits = 5 <= UINT64_MAX - expected;
        CHECK_STATUS(obs_moments_add_many(&into, VALUES, 5), fits ? OBS_OK : OBS_ERR_RANGE);
        expected += fits ? 5 : 0;
        CHECK(obs_moments_samples(&into) == expected);
        check_invariants(&into);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[OBS_MOMENTS_ENCODED_MAX];
    uint64_t samples = 77;
    size_t written = 0;
    obs_moments_t moments;
    int status = obs_moments_check(data, size, &samples);
    CHECK_STATUS(obs_moments_decode(data, size, &moments), status);
    if (status != OBS_OK) {
        fuzz_check_status(status);
        CHECK(samples == 77);
        return 0;
    }
    CHECK(obs_moments_samples(&moments) == samples);
    check_invariants(&moments);
    CHECK_OK(obs_moments_encode(&moments, bytes, sizeof bytes, &written));
    CHECK_EQ(written, size);
    CHECK(memcmp(bytes, data, size) == 0);
    check_merging(data, size, samples);
    return 0;
}
