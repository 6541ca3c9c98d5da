/* obs_alloc.h: the allocator seam. Kernels allocate through these names only.
 *
 * A test build defines OBS_ALLOC_TEST and links alloc_seam.c, which fails the N-th call, so that
 * every error path is walked. A normal build costs nothing: the names are libc's.
 */
#ifndef OBS_ALLOC_H
#define OBS_ALLOC_H

#include <stdlib.h>

#ifdef OBS_ALLOC_TEST
void *obs_malloc(size_t size);
void *obs_calloc(size_t count, size_t size);
void *obs_realloc(void *memory, size_t size);
void *obs_aligned_alloc(size_t alignment, size_t size);
void obs_free(void *memory);
#else
#define obs_malloc malloc
#define obs_calloc calloc
#define obs_realloc realloc
#define obs_aligned_alloc aligned_alloc
#define obs_free free
#endif

#endif
