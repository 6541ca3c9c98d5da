/* alloc_seam.h: makes chosen allocations of the kernels fail.
 *
 *   for (size_t n = 1;; n++) {
 *       obs_alloc_fail_at(n);
 *       int status = operation();
 *       obs_alloc_fail_at(0);
 *       if (status == OBS_OK)
 *           break;
 *       CHECK_STATUS(status, OBS_ERR_NOMEM);
 *   }
 *   CHECK_EQ(obs_alloc_live(), 0);
 *
 * An operation that does without what it could not allocate ends well: its loop goes on until obs_alloc_is_armed says,
 * before it is disarmed, that there was no n-th allocation.
 *
 * Builds without OBS_ALLOC_TEST have no seam: there the same code runs the operation once and succeeds.
 */
#ifndef OBS_ALLOC_SEAM_H
#define OBS_ALLOC_SEAM_H

#include <stddef.h>

#ifdef OBS_ALLOC_TEST

/* The n-th allocation from now on returns NULL, once; 0: none does. */
void obs_alloc_fail_at(size_t n);
/* The n-th and every later one, until either is called again with 0. */
void obs_alloc_fail_from(size_t n);
/* The failure that was asked for has not come yet. */
int obs_alloc_is_armed(void);
/* Blocks that are allocated and not yet freed. */
size_t obs_alloc_live(void);

#else

static inline void obs_alloc_fail_at(size_t n)
{
    (void)n;
}

static inline void obs_alloc_fail_from(size_t n)
{
    (void)n;
}

static inline int obs_alloc_is_armed(void)
{
    return 1;
}

static inline size_t obs_alloc_live(void)
{
    return 0;
}

#endif

#endif
