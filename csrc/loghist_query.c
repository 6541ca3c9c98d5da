#include <math.h>

#include "loghist.h"
#include "loghist_index.h"
#include "loghist_range.h"

/* A bucket that a rank or a value fell into: count values lie in it, below of its range lie in lower buckets. */
typedef struct {
    int32_t index;
    uint64_t count;
    uint64_t below;
} place_t;

static uint64_t page_total(const obs_loghist_range_t *range, size_t page)
{
    uint64_t total = 0;
    for (size_t i = 0; i < OBS_LOGHIST_PAGE_BUCKETS; i++)
        total += obs_range_counter(range, page + i);
    return total;
}

/* Counts of all pages below the given one. */
static uint64_t total_below_page(const obs_loghist_range_t *range, int32_t end_page)
{
    uint64_t total = 0;
    for (uint32_t position = 0; position < range->directory_size; position++) {
        int32_t page_number = range->first_page + (int32_t)position;
        size_t page = obs_range_find(range, page_number);
        if (page_number < end_page && page != SIZE_MAX)
            total += page_total(range, page);
    }
    return total;
}

static uint64_t range_total(const obs_loghist_range_t *range)
{
    return total_below_page(range, INT32_MAX);
}

/* The bucket that holds the rank-th smallest magnitude of the range, rank from 1 to its total. */
static place_t find_rank(const obs_loghist_range_t *range, uint64_t rank)
{
    place_t place = {0, 0, 0};
    for (uint32_t position = 0; position < range->directory_size; position++) {
        int32_t page_number = range->first_page + (int32_t)position;
        size_t page = obs_range_find(range, page_number);
        uint64_t total = page == SIZE_MAX ? 0 : page_total(range, page);
        if (total < rank - place.below) {
            place.below += total;
            continue;
        }
        place.index = page_number * OBS_LOGHIST_PAGE_BUCKETS;
        place.count = obs_range_counter(range, page);
        while (place.count < rank - place.below) {
            place.below += place.count;
            place.count = obs_range_counter(range, page + obs_page_offset(++place.index));
        }
        break;
    }
    return place;
}

/* gamma^(index + fraction), rounded once: the power of two is applied last, so that buckets of
 * subnormal numbers are as precise as the format allows. */
static double inside_bucket(int32_t index, int scale, double fraction)
{
    int32_t octave = obs_floor_shift(index, scale);
    double lower = obs_loghist_lower_bound(index - octave * (1 << scale), scale);
    return ldexp(lower * exp2(ldexp(fraction, -scale)), octave);
}

/* The value whose relative distance to both bounds is the same: 2*lo*hi/(lo+hi) = lo * 2*gamma/(1+gamma). */
static double bucket_estimate(int32_t index, int scale)
{
    int32_t octave = obs_floor_shift(index, scale);
    double lower = obs_loghist_lower_bound(index - octave * (1 << scale), scale);
    double gamma = obs_loghist_lower_bound(1, scale);
    return ldexp(lower * (2 * gamma / (1 + gamma)), octave);
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* Negative values ascend while their magnitudes descend, so a rank counts from the range's other end. */
static double negative_quantile(const obs_loghist_t *hist, uint64_t rank, uint64_t total, double exact_rank,
                                int interpolate)
{
    place_t place = find_rank(&hist->negative, total - rank + 1);
    if (!interpolate)
        return -bucket_estimate(place.index, hist->scale);
    double from_end = (double)total - exact_rank - (double)place.below;
    return -inside_bucket(place.index, hist->scale, clamp(from_end / (double)place.count, 0, 1));
}

static double positive_quantile(const obs_loghist_t *hist, uint64_t rank, double exact_rank, int interpolate)
{
    place_t place = find_rank(&hist->positive, rank);
    if (!interpolate)
        return bucket_estimate(place.index, hist->scale);
    double fraction = (exact_rank - (double)place.below) / (double)place.count;
    return inside_bucket(place.index, hist->scale, clamp(fraction, 0, 1));
}

/* ceil(q * count), from 1 to count also where count has more digits than a double. */
static uint64_t rank_of(double q, uint64_t count)
{
    double rank = ceil(q * (double)count);
    if (rank >= (double)count)
        return count;
    return rank < 1 ? 1 : (uint64_t)rank;
}

int obs_loghist_quantile(const obs_loghist_t *hist, double q, int interpolate, double *out)
{
    if (!(q >= 0 && q <= 1))
        return OBS_ERR_RANGE;
    if (hist->count == 0) {
        *out = NAN;
        return OBS_OK;
    }
    if (q == 0 || q == 1) {
        *out = q == 0 ? hist->min : hist->max;
        return OBS_OK;
    }
    double exact_rank = q * (double)hist->count;
    uint64_t rank = rank_of(q, hist->count);
    uint64_t negative = range_total(&hist->negative);
    uint64_t not_positive = negative + hist->zero_count;
    double value = 0;
    if (rank <= negative)
        value = negative_quantile(hist, rank, negative, exact_rank, interpolate);
    else if (rank > not_positive)
        value = positive_quantile(hist, rank - not_positive, exact_rank - (double)not_positive, interpolate);
    *out = clamp(value, hist->min, hist->max);
    return OBS_OK;
}

/* How far x lies between its bucket's bounds on a logarithmic scale: 0 at the lower, 1 at the upper. */
static double bucket_fraction(double x, int32_t index, int scale)
{
    if (x >= obs_loghist_lower_bound(index + 1, scale))
        return 1;
    double gap = log2(x) - ldexp((double)index, -scale);
    return clamp(ldexp(gap, scale), 0, 1);
}

/* The bucket of the range that x > 0 belongs to. */
static place_t find_value(const obs_loghist_range_t *range, double x, int scale)
{
    int32_t index = obs_loghist_index(x, scale);
    place_t place = {index, 0, total_below_page(range, obs_page_number(index))};
    size_t page = obs_range_find(range, obs_page_number(index));
    if (page == SIZE_MAX)
        return place;
    for (uint32_t i = 0; i < obs_page_offset(index); i++)
        place.below += obs_range_counter(range, page + i);
    place.count = obs_range_counter(range, page + obs_page_offset(index));
    return place;
}

/* Estimated number of the range's magnitudes <= x, for x > 0. */
static double magnitudes_up_to(const obs_loghist_range_t *range, double x, int scale)
{
    place_t place = find_value(range, x, scale);
    return (double)place.below + (double)place.count * bucket_fraction(x, place.index, scale);
}

double obs_loghist_cdf(const obs_loghist_t *hist, double x)
{
    if (hist->count == 0 || isnan(x))
        return NAN;
    if (x == 0)
        x = 0; /* -0.0 too */
    if (obs_f64_less(x, hist->min))
        return 0;
    if (!obs_f64_less(x, hist->max))
        return 1;
    uint64_t negative = range_total(&hist->negative);
    double up_to_x;
    if (x < 0)
        up_to_x = (double)negative - magnitudes_up_to(&hist->negative, -x, hist->scale);
    else if (x > 0)
        up_to_x = (double)(negative + hist->zero_count) + magnitudes_up_to(&hist->positive, x, hist->scale);
    else
        up_to_x = (double)(negative + hist->zero_count);
    return up_to_x / (double)hist->count;
}

/* The values that are below x for certain, and those that may be at most x: between the two lies the bucket of x. */
static void ranks_of(const obs_loghist_t *hist, double x, uint64_t *below, uint64_t *up_to)
{
    uint64_t negative = range_total(&hist->negative);
    uint64_t not_positive = negative + hist->zero_count;
    *below = negative;
    *up_to = not_positive;
    if (x < 0) {
        place_t place = find_value(&hist->negative, -x, hist->scale);
        *up_to = negative - place.below;
        *below = *up_to - place.count;
    } else if (x > 0) {
        place_t place = find_value(&hist->positive, x, hist->scale);
        *below = not_positive + place.below;
        *up_to = *below + place.count;
    }
}

double obs_loghist_rank_error(const obs_loghist_t *hist, double q, double x)
{
    if (hist->count == 0 || !(q >= 0 && q <= 1) || !isfinite(x))
        return NAN;
    uint64_t below, up_to, rank = rank_of(q, hist->count);
    ranks_of(hist, x, &below, &up_to);
    uint64_t too_high = up_to > rank ? up_to - rank : 0;
    uint64_t too_low = rank > below ? rank - below : 0;
    return (double)(too_high > too_low ? too_high : too_low) / (double)hist->count;
}
