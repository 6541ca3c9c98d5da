/* bench.h: medians of seven runs of a few milliseconds each, in the thread's own processor time, which a busy
 * machine disturbs less than the clock on the wall. */
#ifndef OBS_BENCH_H
#define OBS_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "obs_port.h"

#define BENCH_RUNS 7

/* Keeps the compiler from dropping work whose result nobody reads. */
#define BENCH_KEEP(value) __asm__ volatile("" : : "g"(value) : "memory")

static int bench_compare(const void *left, const void *right)
{
    double l = *(const double *)left, r = *(const double *)right;
    return (l > r) - (l < r);
}

static int64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Prints and returns nanoseconds a piece of work that handles `pieces` things: work(state), once to warm up. */
static double bench(const char *name, const char *unit, size_t pieces, void (*work)(void *), void *state)
{
    double ns[BENCH_RUNS];
    work(state);
    for (int run = 0; run < BENCH_RUNS; run++) {
        int64_t start = bench_now_ns();
        work(state);
        ns[run] = (double)(bench_now_ns() - start) / (double)pieces;
    }
    qsort(ns, BENCH_RUNS, sizeof ns[0], bench_compare);
    double median = ns[BENCH_RUNS / 2];
    printf("  %-58s %9.2f ns / %s\n", name, median, unit);
    return median;
}

#endif
