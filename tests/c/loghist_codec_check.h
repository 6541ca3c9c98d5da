/* loghist_codec_check.h: what the tests of the compact form share. */
#ifndef OBS_LOGHIST_CODEC_CHECK_H
#define OBS_LOGHIST_CODEC_CHECK_H

#include "loghist_check.h"

enum { ROOM = 1 << 16 };

static uint8_t encoded[ROOM]; /* what encode wrote last */

static inline size_t encode(const obs_loghist_t *hist)
{
    size_t size = 0;
    CHECK(obs_loghist_encoded_bound(hist) <= ROOM);
    CHECK_OK(obs_loghist_encode(hist, encoded, obs_loghist_encoded_bound(hist), &size));
    return size;
}

static inline obs_loghist_t decode(int scale, const uint8_t *bytes, size_t size)
{
    obs_loghist_t hist = new_hist(scale);
    CHECK_OK(obs_loghist_merge_encoded(&hist, bytes, size));
    return hist;
}

static inline void check_round_trip(const obs_loghist_t *hist)
{
    size_t size = encode(hist);
    uint64_t samples;
    CHECK_OK(obs_loghist_check(encoded, size, &samples));
    CHECK(samples == hist->count + hist->nan_count + hist->positive_infinity_count + hist->negative_infinity_count);
    obs_loghist_t again = decode(8, encoded, size);
    check_same(&again, hist);
    check_consistent(&again);
    obs_loghist_free(&again);
}

static inline obs_loghist_t wild_hist(int scale, size_t count, uint64_t seed)
{
    obs_loghist_t hist = new_hist(scale);
    for (size_t i = 0; i < count; i++)
        CHECK_OK(obs_loghist_add(&hist, wild_value(&seed), 1));
    return hist;
}

static inline obs_loghist_t lognormal_hist(int scale, size_t count, uint64_t seed)
{
    obs_loghist_t hist = new_hist(scale);
    for (size_t i = 0; i < count; i++)
        CHECK_OK(obs_loghist_add(&hist, exp(-4 + 0.7 * normal_value(&seed)), 1));
    return hist;
}

#endif
