/* quad.h: four doubles side by side, for kernels that pass over many; private to them.
 *
 * Each lane is a chain of its own, so that all instruction sets give the same bits. A kernel is written once, inlined
 * everywhere, with a constant is_wide, and instantiated twice: as it is, and under OBS_TARGET("avx2").
 */
#ifndef OBS_QUAD_H
#define OBS_QUAD_H

#include <stddef.h>

#include "obs_port.h"

typedef double obs_quad_t __attribute__((vector_size(32)));
typedef double obs_quad_anywhere_t __attribute__((vector_size(32), aligned(1), may_alias));

enum { OBS_QUAD = 4 };

#define OBS_INLINED __attribute__((always_inline)) static inline

/* The values from the i-th on, which may be unaligned. */
OBS_INLINED void obs_quad_load(obs_quad_t *quad, const double *values, size_t i)
{
    *quad = *(const obs_quad_anywhere_t *)(const void *)((const uint8_t *)values + i * sizeof *values);
}

/* The last, fewer than four; padding stands in for the others. */
OBS_INLINED void obs_quad_load_rest(obs_quad_t *quad, const double *values, size_t i, size_t count, double padding)
{
    double rest[OBS_QUAD] = {padding, padding, padding, padding};
    memcpy(rest, (const uint8_t *)values + i * sizeof *values, (count - i) * sizeof *values);
    obs_quad_load(quad, rest, 0);
}

OBS_INLINED void obs_quad_widen_plain(obs_quad_t *min, obs_quad_t *max, const obs_quad_t *values)
{
#if OBS_ARCH_X86_64
    typedef double pair_t __attribute__((vector_size(16), may_alias));
    for (size_t half = 0; half < 2; half++) {
        const pair_t value = ((const pair_t *)values)[half];
        ((pair_t *)min)[half] = __builtin_ia32_minpd(value, ((pair_t *)min)[half]);
        ((pair_t *)max)[half] = __builtin_ia32_maxpd(value, ((pair_t *)max)[half]);
    }
#else
    for (size_t lane = 0; lane < OBS_QUAD; lane++) {
        (*min)[lane] = (*values)[lane] < (*min)[lane] ? (*values)[lane] : (*min)[lane];
        (*max)[lane] = (*values)[lane] > (*max)[lane] ? (*values)[lane] : (*max)[lane];
    }
#endif
}

OBS_TARGET("avx2")
static inline void obs_quad_widen_wide(obs_quad_t *min, obs_quad_t *max, const obs_quad_t *values)
{
#if OBS_ARCH_X86_64
    *min = __builtin_ia32_minpd256(*values, *min);
    *max = __builtin_ia32_maxpd256(*values, *max);
#else
    obs_quad_widen_plain(min, max, values);
#endif
}

/* min and max take in what is less and what is more; a value that is NaN changes nothing. */
OBS_INLINED void obs_quad_widen(obs_quad_t *min, obs_quad_t *max, const obs_quad_t *values, int is_wide)
{
    if (is_wide)
        obs_quad_widen_wide(min, max, values);
    else
        obs_quad_widen_plain(min, max, values);
}

#endif
