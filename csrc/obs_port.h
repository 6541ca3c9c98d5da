/* obs_port.h: the only file that asks which compiler, processor or system this is.
 *
 * Little-endian loads and stores are written so that gcc and clang turn them into single moves on
 * little-endian machines and stay right on the others.
 */
#ifndef OBS_PORT_H
#define OBS_PORT_H

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define OBS_CACHE_LINE 64
#define OBS_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define OBS_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
/* Where a loop is faster value by value: hides an integer from the compiler's making vectors of it. */
#define OBS_KEEP_SCALAR(integer) __asm__("" : "+r"(integer))
#define OBS_PREFETCH_READ(address) __builtin_prefetch(address)
#define OBS_PREFETCH_WRITE(address) __builtin_prefetch((address), 1)

#if defined(__x86_64__)
#define OBS_ARCH_X86_64 1
#define OBS_TARGET(features) __attribute__((target(features)))
#ifdef OBS_PLAIN_CPU /* a test build: takes the ways of processors that have no extensions */
#define OBS_CPU_HAS(feature) 0
#else
#define OBS_CPU_HAS(feature) __builtin_cpu_supports(feature)
#endif
#define obs_cpu_relax() __builtin_ia32_pause()
#else
#define OBS_ARCH_X86_64 0
#define OBS_TARGET(features)
#define OBS_CPU_HAS(feature) 0
#define obs_cpu_relax() ((void)0)
#endif

/* A thread-local pointer read on the hot path: with glibc the initial-exec model costs one load
 * and fits the surplus that the loader reserves for libraries opened later. */
#if defined(__GLIBC__)
#define OBS_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define OBS_THREAD_LOCAL _Thread_local
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OBS_LE16(x) (x)
#define OBS_LE32(x) (x)
#define OBS_LE64(x) (x)
#else
#define OBS_LE16(x) __builtin_bswap16(x)
#define OBS_LE32(x) __builtin_bswap32(x)
#define OBS_LE64(x) __builtin_bswap64(x)
#endif

static inline uint32_t obs_load_u32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return OBS_LE32(value);
}

static inline uint64_t obs_load_u64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return OBS_LE64(value);
}

static inline uint64_t obs_f64_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double obs_f64_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double obs_load_f64(const void *from)
{
    return obs_f64_of_bits(obs_load_u64(from));
}

static inline void obs_store_u32(void *to, uint32_t value)
{
    value = OBS_LE32(value);
    memcpy(to, &value, sizeof value);
}

static inline void obs_store_u64(void *to, uint64_t value)
{
    value = OBS_LE64(value);
    memcpy(to, &value, sizeof value);
}

static inline void obs_store_f64(void *to, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    obs_store_u64(to, bits);
}

/* Monotonic time in nanoseconds. */
static inline int64_t obs_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Condition variables whose waits end at a monotonic time. macOS cannot give them that clock, but waits for a span. */
#if defined(__APPLE__)
static inline int obs_cond_init(pthread_cond_t *cond)
{
    return pthread_cond_init(cond, NULL);
}

static inline int obs_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    int64_t left_ns = (int64_t)until->tv_sec * 1000000000 + until->tv_nsec - obs_monotonic_ns();
    left_ns = left_ns > 0 ? left_ns : 0;
    struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
    return pthread_cond_timedwait_relative_np(cond, mutex, &left);
}
#else
static inline int obs_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    int failed = pthread_condattr_init(&attributes);
    if (failed)
        return failed;
    failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (!failed)
        failed = pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
    return failed;
}

static inline int obs_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    return pthread_cond_timedwait(cond, mutex, until);
}
#endif

#endif
