#include "loghist.h"

#include <math.h>
#include <string.h>

#include "loghist_index.h"
#include "loghist_merge.h"
#include "loghist_range.h"

int obs_loghist_init(obs_loghist_t *hist, int scale)
{
    if (scale < OBS_LOGHIST_MIN_SCALE || scale > OBS_LOGHIST_MAX_SCALE)
        return OBS_ERR_RANGE;
    memset(hist, 0, sizeof *hist);
    hist->scale = scale;
    hist->min = INFINITY;
    hist->max = -INFINITY;
    return OBS_OK;
}

void obs_loghist_free(obs_loghist_t *hist)
{
    obs_range_free(&hist->positive);
    obs_range_free(&hist->negative);
    memset(hist, 0, sizeof *hist);
    hist->min = INFINITY;
    hist->max = -INFINITY;
}

void obs_loghist_reset(obs_loghist_t *hist)
{
    obs_loghist_t empty = {.min = INFINITY,
                           .max = -INFINITY,
                           .positive = hist->positive,
                           .negative = hist->negative,
                           .scale = hist->scale};
    obs_range_clear(&empty.positive);
    obs_range_clear(&empty.negative);
    *hist = empty;
}

int obs_loghist_copy(const obs_loghist_t *hist, obs_loghist_t *out)
{
    obs_loghist_t copy = *hist;
    int status = obs_range_copy(&hist->positive, &copy.positive);
    if (status != OBS_OK)
        return status;
    status = obs_range_copy(&hist->negative, &copy.negative);
    if (status != OBS_OK) {
        obs_range_free(&copy.positive);
        return status;
    }
    *out = copy;
    return OBS_OK;
}

size_t obs_loghist_memory_bytes(const obs_loghist_t *hist)
{
    return sizeof *hist + obs_range_memory_bytes(&hist->positive) + obs_range_memory_bytes(&hist->negative);
}

int32_t obs_loghist_index(double value, int scale)
{
    return obs_bucket_of_bits(obs_f64_normalised_bits(obs_f64_bits(value)), scale);
}

double obs_loghist_lower_bound(int32_t index, int scale)
{
    int32_t exponent = obs_floor_shift(index, scale);
    uint32_t bound = ((uint32_t)index & ((1u << scale) - 1)) << (OBS_LOGHIST_MAX_SCALE - scale);
    uint64_t significand = OBS_LOGHIST_BOUNDS[bound];
    if (exponent > 1023)
        return INFINITY;
    if (exponent >= -1022)
        return obs_f64_of_bits(((uint64_t)(exponent + 1022) << 52) + significand);
    int lost_bits = -1022 - exponent;
    return obs_f64_of_bits(lost_bits > 52 ? 0 : significand >> lost_bits);
}

double obs_loghist_relative_error(int scale)
{
    double gamma = obs_loghist_lower_bound(1, scale);
    return (gamma - 1) / (gamma + 1);
}

int obs_loghist_next(const obs_loghist_range_t *range, int32_t *index, uint64_t *count)
{
    int32_t page_number = obs_page_number(*index);
    uint32_t offset = obs_page_offset(*index);
    if (page_number < range->first_page) {
        page_number = range->first_page;
        offset = 0;
    }
    uint32_t position = (uint32_t)(page_number - range->first_page);
    for (; position < range->directory_size; position++, offset = 0) {
        if (range->directory[position] == 0)
            continue;
        size_t page = (size_t)(range->directory[position] - 1) * OBS_LOGHIST_PAGE_BUCKETS;
        for (; offset < OBS_LOGHIST_PAGE_BUCKETS; offset++) {
            uint64_t found = obs_range_counter(range, page + offset);
            if (found != 0) {
                *index = (range->first_page + (int32_t)position) * OBS_LOGHIST_PAGE_BUCKETS + (int32_t)offset;
                *count = found;
                return 1;
            }
        }
    }
    return 0;
}

static int add_to_range(obs_loghist_t *hist, obs_loghist_range_t *range, int32_t bucket, uint64_t weight)
{
    int status = obs_range_reserve_page(range, obs_page_number(bucket));
    if (status == OBS_OK)
        status = obs_range_reserve_total(range, hist->count + weight);
    if (status != OBS_OK)
        return status;
    size_t page = obs_range_find(range, obs_page_number(bucket));
    obs_range_increase(range, page + obs_page_offset(bucket), weight);
    return OBS_OK;
}

int obs_loghist_add(obs_loghist_t *hist, double value, uint64_t weight)
{
    if (weight == 0)
        return OBS_OK;
    if (weight > UINT64_MAX - obs_loghist_samples(hist))
        return OBS_ERR_RANGE;
    uint64_t bits = obs_f64_bits(value);
    uint64_t magnitude = bits & ~OBS_F64_SIGN_BIT;
    if (magnitude >= OBS_F64_INFINITY_BITS) {
        obs_loghist_count_nonfinite(hist, bits, weight);
        return OBS_OK;
    }
    if (magnitude == 0) {
        hist->zero_count += weight;
        value = 0.0; /* -0.0 must not be a minimum of its own */
    } else {
        obs_loghist_range_t *range = bits == magnitude ? &hist->positive : &hist->negative;
        int32_t bucket = obs_bucket_of_bits(obs_f64_normalised_bits(magnitude), hist->scale);
        int status = add_to_range(hist, range, bucket, weight);
        if (status != OBS_OK)
            return status;
    }
    hist->count += weight;
    hist->sum += value * (double)weight;
    obs_loghist_widen_min_max(hist, value, value);
    return OBS_OK;
}

int obs_loghist_add_many_reference(obs_loghist_t *hist, const double *values, size_t value_count)
{
    for (size_t i = 0; i < value_count; i++) {
        double value;
        memcpy(&value, (const uint8_t *)values + i * sizeof value, sizeof value);
        int status = obs_loghist_add(hist, value, 1);
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}
