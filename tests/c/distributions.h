/* distributions.h: values of several shapes, for the tests of the sketches of features. */
#ifndef OBS_DISTRIBUTIONS_H
#define OBS_DISTRIBUTIONS_H

#include <math.h>

#include "check.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static inline double draw_normal(uint64_t *seed)
{
    double radius = sqrt(-2 * log(1 - check_random_unit(seed)));
    return radius * cos(6.283185307179586 * check_random_unit(seed));
}

static inline double draw_uniform(uint64_t *seed)
{
    return check_random_unit(seed);
}

static inline double draw_lognormal(uint64_t *seed)
{
    return exp(2 * draw_normal(seed));
}

/* Far from zero: what is lost where squares are summed. */
static inline double draw_far(uint64_t *seed)
{
    return 1e9 + draw_normal(seed);
}

static inline double draw_decades(uint64_t *seed)
{
    return (check_random(seed) & 1 ? 1 : -1) * exp(20 * draw_normal(seed));
}

static inline double draw_two(uint64_t *seed)
{
    return check_random_unit(seed) < 0.999 ? 0.1 : 7;
}

static inline double draw_whole(uint64_t *seed)
{
    return (double)(int64_t)(check_random(seed) % 21) - 10;
}

static inline double draw_tiny(uint64_t *seed)
{
    return 1e-60 * draw_normal(seed);
}

static inline double draw_subnormal(uint64_t *seed)
{
    return 5e-324 * (double)(check_random(seed) % 1000);
}

static const struct distribution {
    const char *name;
    double (*draw)(uint64_t *seed);
} DISTRIBUTIONS[] = {
    {"uniform", draw_uniform}, {"normal", draw_normal},   {"lognormal", draw_lognormal},
    {"far", draw_far},         {"decades", draw_decades}, {"two", draw_two},
    {"whole", draw_whole},     {"tiny", draw_tiny},       {"subnormal", draw_subnormal},
};

static inline void fill_from(double *values, size_t count, const struct distribution *distribution, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        values[i] = distribution->draw(&seed);
}

#endif
