#include "loghist_merge.h"

#include "loghist_range.h"

/* A copy at a lower scale. */
static int lowered_copy(const obs_loghist_t *hist, int scale, obs_loghist_t *out)
{
    int shift = hist->scale - scale;
    obs_loghist_t copy = *hist;
    copy.scale = scale;
    copy.positive = (obs_loghist_range_t){.wide = hist->positive.wide};
    copy.negative = (obs_loghist_range_t){.wide = hist->negative.wide};
    int status = obs_range_reserve_merge(&copy.positive, &hist->positive, shift);
    if (status == OBS_OK)
        status = obs_range_reserve_merge(&copy.negative, &hist->negative, shift);
    if (status != OBS_OK) {
        obs_loghist_free(&copy);
        return status;
    }
    obs_range_merge(&copy.positive, &hist->positive, shift);
    obs_range_merge(&copy.negative, &hist->negative, shift);
    *out = copy;
    return OBS_OK;
}

int obs_loghist_downscale(obs_loghist_t *hist, int scale)
{
    if (scale < OBS_LOGHIST_MIN_SCALE || scale > hist->scale)
        return OBS_ERR_RANGE;
    if (scale == hist->scale)
        return OBS_OK;
    obs_loghist_t lowered;
    int status = lowered_copy(hist, scale, &lowered);
    if (status != OBS_OK)
        return status;
    obs_loghist_free(hist);
    *hist = lowered;
    return OBS_OK;
}

int obs_loghist_merge_begin(obs_loghist_t *into, int scale, obs_loghist_t *lowered, obs_loghist_t **target)
{
    *target = into;
    if (into->scale <= scale)
        return OBS_OK;
    int status = lowered_copy(into, scale, lowered);
    if (status == OBS_OK)
        *target = lowered;
    return status;
}

int obs_loghist_merge_reserve(obs_loghist_t *target, const obs_loghist_t *from)
{
    if (obs_loghist_samples(from) > UINT64_MAX - obs_loghist_samples(target))
        return OBS_ERR_RANGE;
    uint64_t total = target->count + from->count;
    int status = obs_range_reserve_total(&target->positive, total);
    if (status == OBS_OK)
        status = obs_range_reserve_total(&target->negative, total);
    return status;
}

void obs_loghist_merge_totals(obs_loghist_t *target, const obs_loghist_t *from)
{
    obs_loghist_widen_min_max(target, from->min, from->max);
    target->count += from->count;
    target->zero_count += from->zero_count;
    target->nan_count += from->nan_count;
    target->positive_infinity_count += from->positive_infinity_count;
    target->negative_infinity_count += from->negative_infinity_count;
    target->sum += from->sum;
}

int obs_loghist_merge_finish(obs_loghist_t *into, obs_loghist_t *target, int status)
{
    if (target == into)
        return status;
    if (status != OBS_OK) {
        obs_loghist_free(target);
        return status;
    }
    obs_loghist_free(into);
    *into = *target;
    return OBS_OK;
}

int obs_loghist_merge(obs_loghist_t *into, const obs_loghist_t *from)
{
    obs_loghist_t lowered, *target;
    int status = obs_loghist_merge_begin(into, from->scale, &lowered, &target);
    if (status != OBS_OK)
        return status;
    int shift = from->scale - target->scale;
    status = obs_loghist_merge_reserve(target, from);
    if (status == OBS_OK)
        status = obs_range_reserve_merge(&target->positive, &from->positive, shift);
    if (status == OBS_OK)
        status = obs_range_reserve_merge(&target->negative, &from->negative, shift);
    if (status == OBS_OK) {
        obs_range_merge(&target->positive, &from->positive, shift);
        obs_range_merge(&target->negative, &from->negative, shift);
        obs_loghist_merge_totals(target, from);
    }
    return obs_loghist_merge_finish(into, target, status);
}
