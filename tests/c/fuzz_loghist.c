// kernels: loghist obs
/* Any bytes as a histogram: what is refused changes nothing; what is accepted is what would be written again, and
 * keeps what loghist.h promises: counts through every change of scale, quantiles in order between min and max. */
#include "fuzz.h"
#include "loghist_check.h"
#include "loghist_merge.h"

/* Directories reach from the least to the greatest bucket of scale 8, and no further. */
#define DIRECTORY_BYTES_MAX ((size_t)(2 * 274945 / 64 + 3) * sizeof(uint32_t))
#define PAGE_BYTES (OBS_LOGHIST_PAGE_BUCKETS * sizeof(uint64_t))
#define ENCODED_PAGE_BYTES_MIN 3u

static void check_memory(const obs_loghist_t *hist, size_t size)
{
    size_t pages = size / ENCODED_PAGE_BYTES_MIN;
    CHECK(obs_loghist_memory_bytes(hist) <= sizeof *hist + 4 * DIRECTORY_BYTES_MAX + 4 * pages * PAGE_BYTES);
}

static obs_loghist_t copy_of(const obs_loghist_t *hist)
{
    obs_loghist_t copy;
    CHECK_OK(obs_loghist_copy(hist, &copy));
    return copy;
}

static void check_round_trip_of(const obs_loghist_t *hist)
{
    size_t bound = obs_loghist_encoded_bound(hist), written = 0;
    uint64_t samples;
    uint8_t *bytes = malloc(bound);
    CHECK(bytes != NULL);
    CHECK_OK(obs_loghist_encode(hist, bytes, bound, &written));
    CHECK(written <= bound);
    CHECK_OK(obs_loghist_check(bytes, written, &samples));
    CHECK(samples == obs_loghist_samples(hist));
    obs_loghist_t again = new_hist(OBS_LOGHIST_MAX_SCALE);
    CHECK_OK(obs_loghist_merge_encoded(&again, bytes, written));
    check_same(&again, hist);
    obs_loghist_free(&again);
    free(bytes);
}

static void check_quantiles(const obs_loghist_t *hist)
{
    static const double QS[] = {0, 1e-9, 0.01, 0.5, 0.99, 1};
    double before = -INFINITY, value;
    for (size_t i = 0; i < sizeof QS / sizeof QS[0]; i++) {
        CHECK_OK(obs_loghist_quantile(hist, QS[i], 0, &value));
        if (hist->count == 0) {
            CHECK(isnan(value));
            continue;
        }
        CHECK(value >= hist->min && value <= hist->max && value >= before);
        before = value;
        CHECK_OK(obs_loghist_quantile(hist, QS[i], 1, &value));
        CHECK(value >= hist->min && value <= hist->max);
        double share = obs_loghist_cdf(hist, value), off = obs_loghist_rank_error(hist, QS[i], value);
        CHECK(share >= 0 && share <= 1 && off >= 0 && off <= 1);
    }
    CHECK(hist->count == 0 || obs_loghist_cdf(hist, hist->max) == 1);
}

static void check_scales(const obs_loghist_t *hist)
{
    obs_loghist_t lowered = copy_of(hist);
    for (int scale = hist->scale; scale >= OBS_LOGHIST_MIN_SCALE; scale--) {
        CHECK_OK(obs_loghist_downscale(&lowered, scale));
        CHECK(lowered.count == hist->count && obs_loghist_samples(&lowered) == obs_loghist_samples(hist));
        check_consistent(&lowered);
        check_round_trip_of(&lowered);
    }
    obs_loghist_free(&lowered);
}

static void check_doubling(const obs_loghist_t *hist)
{
    obs_loghist_t doubled = copy_of(hist);
    uint64_t samples = obs_loghist_samples(hist);
    int status = obs_loghist_merge(&doubled, hist);
    if (samples > UINT64_MAX - samples) {
        CHECK_STATUS(status, OBS_ERR_RANGE);
        check_same(&doubled, hist);
    } else {
        CHECK_OK(status);
        CHECK(doubled.count == 2 * hist->count && obs_loghist_samples(&doubled) == 2 * samples);
        check_consistent(&doubled);
        check_round_trip_of(&doubled);
    }
    obs_loghist_free(&doubled);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t samples = 77;
    int status = obs_loghist_check(data, size, &samples);
    obs_loghist_t hist = new_hist(OBS_LOGHIST_MAX_SCALE);
    CHECK_STATUS(obs_loghist_merge_encoded(&hist, data, size), status);
    check_memory(&hist, size);
    if (status == OBS_OK) {
        CHECK(samples == obs_loghist_samples(&hist));
        check_consistent(&hist);
        check_round_trip_of(&hist);
        check_quantiles(&hist);
        check_scales(&hist);
        check_doubling(&hist);
    } else {
        fuzz_check_status(status);
        CHECK(samples == 77 && obs_loghist_samples(&hist) == 0);
        CHECK_EQ(obs_loghist_memory_bytes(&hist), sizeof hist);
    }
    obs_loghist_free(&hist);
    return 0;
}
