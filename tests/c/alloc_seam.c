#include "alloc_seam.h"

#include <stdatomic.h>

#include "obs_alloc.h"

static atomic_size_t countdown; /* 0: nothing is to fail */
static atomic_int lasting;      /* what fails once goes on failing */
static atomic_size_t live;

static int must_fail(void)
{
    size_t left = atomic_load(&countdown);
    while (left != 0)
        if (atomic_compare_exchange_weak(&countdown, &left, left - 1))
            break;
    if (left == 1 && atomic_load(&lasting))
        atomic_store(&countdown, 1);
    return left == 1;
}

static void *counted(void *memory)
{
    if (memory != NULL)
        atomic_fetch_add(&live, 1);
    return memory;
}

void obs_alloc_fail_from(size_t n)
{
    atomic_store(&lasting, 1);
    atomic_store(&countdown, n);
}

void obs_alloc_fail_at(size_t n)
{
    atomic_store(&lasting, 0);
    atomic_store(&countdown, n);
}

int obs_alloc_is_armed(void)
{
    return atomic_load(&countdown) != 0;
}

size_t obs_alloc_live(void)
{
    return atomic_load(&live);
}

void *obs_malloc(size_t size)
{
    return must_fail() ? NULL : counted(malloc(size));
}

void *obs_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : counted(calloc(count, size));
}

void *obs_realloc(void *memory, size_t size)
{
    if (must_fail())
        return NULL;
    return memory == NULL ? counted(malloc(size)) : realloc(memory, size);
}

void *obs_aligned_alloc(size_t alignment, size_t size)
{
    return must_fail() ? NULL : counted(aligned_alloc(alignment, size));
}

void obs_free(void *memory)
{
    if (memory != NULL)
        atomic_fetch_sub(&live, 1);
    free(memory);
}
